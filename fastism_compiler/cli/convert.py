"""`fastism-compiler convert STORE OUTPUT --to FORMAT`: what other programs read."""

from __future__ import annotations

import click

import fastism_compiler as fc
from fastism_compiler.cli.run_options import FORMATS


@click.command()
@click.argument("store", type=click.Path())
@click.argument("output", type=click.Path())
@click.option("--to", required=True, type=click.Choice(FORMATS), help="The format.")
@click.option("--track", metavar="NAME[:INDEX]", help="The output to write, in formats that hold one number per cell.")
@click.option(
    "--overwrite", is_flag=True, help="Also replace files that no conversion wrote, or that were changed since."
)
@click.option(
    "--annotate", type=click.Path(), metavar="VCF", help="With --to vcf: write this file again, with the scores added."
)
@click.option(
    "--peaks",
    type=click.Path(),
    metavar="SCAN",
    help="With --to tsv, of --score profile: add quantiles among counts of peaks (their scan, or peak_scores.tsv).",
)
def convert(
    store: str, output: str, to: str, track: str | None, overwrite: bool, annotate: str | None, peaks: str | None
) -> None:
    """Write the complete STORE of a scan, or of variants, to OUTPUT in another format.

    \b
    fastism-compiler convert scan.zarr importance.bw --to bigwig --track head:3
    fastism-compiler convert effects.zarr effects.vcf --to vcf
    fastism-compiler convert effects.zarr annotated.vcf.gz --to vcf --annotate mine.vcf.gz

    Exit codes: 0 done, 1 the output cannot be written, 2 a wrong command, store or track, or a damaged store.
    """  # noqa: D301 (click reads the character)
    fc.convert(store, output, to, track, overwrite=overwrite, annotate=annotate, peaks=peaks)
