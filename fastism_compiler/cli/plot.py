"""`fastism-compiler plot SCORES OUTPUT`: one picture of one scanned sequence."""

from __future__ import annotations

import re

import click


@click.command()
@click.argument("scores", type=click.Path())
@click.argument("output_file", metavar="OUTPUT", type=click.Path(dir_okay=False))
@click.option(
    "--kind", type=click.Choice(["logo", "heatmap", "browser", "outputs", "lollipop"]), default="logo",
    show_default=True, help="logo: letters as high as their importance; heatmap: letters x positions; browser: a track "
    "of all positions, and letters and substitutions of a part; outputs: clusters; lollipop: stems.",
)  # fmt: skip
@click.option("--sequence", default="0", show_default=True, metavar="NAME|INDEX", help="Which sequence.")
@click.option("--output", metavar="NAME[:INDEX]", help="The output, or one number of it, such as head:3.")
@click.option("--positions", metavar="A-B", help="Positions of the sequence, 0-based, B exclusive; default: all.")
@click.option(
    "--method", type=click.Choice(["mean", "loss", "gain", "mean-centred"]), default="mean", show_default=True,
    help="mean: minus the mean effect of alternatives; loss, gain: lowest, highest effect; mean-centred: all letters.",
)  # fmt: skip
@click.option("--top", default=30, show_default=True, help="Outputs shown, or variants labelled, at most.")
@click.option("--overwrite", is_flag=True, help="Also replace a file that is not this command's, or was changed since.")
def plot(
    scores: str,
    output_file: str,
    kind: str,
    sequence: str,
    output: str | None,
    positions: str | None,
    method: str,
    top: int,
    overwrite: bool,
) -> None:
    """Draw one sequence of a scan: SCORES is what `scan` wrote, OUTPUT a .png, .svg or .pdf file.

    From a store that `variants` wrote, --kind lollipop draws one chromosome (--sequence chr1).

    \b
    fastism-compiler plot scores.zarr logo.png --sequence chr1:100-300 --positions 80-160
    fastism-compiler plot effects.zarr effects.svg --kind lollipop --sequence chr1
    """  # noqa: D301 (click reads the character)
    # late: the command line starts without what only some commands draw with
    from fastism_compiler.plot import save
    from fastism_compiler.plot.scan import open_store, read_scan
    from fastism_compiler.plot.scanned import Choice, draw
    from fastism_compiler.plot.style import check_target
    from fastism_compiler.plot.variant_store import draw_variants
    from fastism_compiler.runs.jobs import VARIANTS

    check_target(output_file, overwrite=overwrite)
    choice, store = Choice(sequence, output, _window(positions), method, top), open_store(scores)
    if store.attrs.get("format") == VARIANTS:
        figure = draw_variants(store, kind, choice)
    else:
        figure = draw(read_scan(store, scores), kind, choice)
    save(figure, output_file, overwrite=overwrite)


def _window(positions: str | None) -> tuple[int, int] | None:
    """`A-B` as two numbers."""
    if positions is None:
        return None
    match = re.fullmatch(r"([0-9]{1,18})-([0-9]{1,18})", positions.strip())
    if match is None:
        raise click.BadParameter("two numbers and a dash, such as 80-160", param_hint="--positions")
    return int(match[1]), int(match[2])
