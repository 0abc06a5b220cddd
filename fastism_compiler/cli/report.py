"""`fastism-compiler report STORE OUTPUT.html`: a scan, or variants, as one HTML file."""

from __future__ import annotations

import click


@click.command()
@click.argument("scores", type=click.Path())
@click.argument("output_file", metavar="OUTPUT", type=click.Path(dir_okay=False))
@click.option(
    "--top",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="How many sequences (chromosomes) get pictures, strongest first.",
)
@click.option("--output", metavar="NAME[:INDEX]", help="Rank by this output, or one number of it; default: by all.")
@click.option("--overwrite", is_flag=True, help="Also replace a file that is not this command's, or was changed since.")
def report(scores: str, output_file: str, top: int, output: str | None, overwrite: bool) -> None:
    """Write a self-contained HTML report: SCORES is what `scan` or `variants` wrote, OUTPUT an .html file.

    Example: fastism-compiler report scores.zarr report.html --top 20
    """
    # late: the command line starts without what only some commands draw with
    from fastism_compiler.report import write_report

    write_report(scores, output_file, top, output, overwrite=overwrite)
