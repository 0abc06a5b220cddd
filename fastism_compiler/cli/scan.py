"""`fastism-compiler scan MODEL INPUT OUTPUT`: every mutation of every sequence."""

from __future__ import annotations

import os

import click

import fastism_compiler as fc
from fastism_compiler import formats
from fastism_compiler.cli.model import ModelOptions, model_options
from fastism_compiler.cli.run_options import RunOptions, progress_bar, run_options
from fastism_compiler.genomics.bed import read_bed
from fastism_compiler.genomics.errors import Refusals
from fastism_compiler.runs.outputs import read_ranges


@click.command()
@model_options
@click.argument("source", metavar="INPUT", type=click.Path())
@click.argument("output", type=click.Path())
@click.option("--genome", type=click.Path(), help="FASTA that the regions of a BED file lie on.")
@click.option("--window", type=click.IntRange(1), help="Scan only this many positions, in the middle of the input.")
@click.option("--ranges", help="Replace ranges by unknown letters instead: 10-20,30-45, or a BED file of them.")
@run_options
def scan(
    model: ModelOptions,
    source: str,
    output: str,
    genome: str | None,
    window: int | None,
    ranges: str | None,
    options: RunOptions,
) -> None:
    """Score every mutation of every sequence of INPUT with MODEL, into the zarr store OUTPUT.

    MODEL is a .keras, .h5 or .onnx file, or a SavedModel folder.

    INPUT is FASTA with sequences of the model's length, BED with --genome, or
    npz / npy with one-hot arrays. If a run was stopped, the same command goes
    on where it was. A manifest is written beside every result.

    \b
    fastism-compiler scan model.keras peaks.bed scan.zarr --genome hg38.fa --window 200
    fastism-compiler scan model.keras promoters.fa scan.zarr --reduce sum --score log2fc --to hdf5
    fastism-compiler scan model.keras peaks.bed scan.zarr --genome hg38.fa --shard $SLURM_ARRAY_TASK_ID/16

    Exit codes: 0 done, 1 the run or the verification failed, 2 a wrong command, file or setting.
    """  # noqa: D301 (click reads the character)
    options.check(output, formats.RANGES if ranges else formats.LETTERS)
    settings = fc.ScanSettings(**options.settings(model), window=window, ranges=_ranges(ranges))
    with progress_bar("sequences", options.quiet) as progress:
        summary = fc.scan(
            model.path,
            source,
            output,
            genome=genome,
            settings=settings,
            execution=options.execution,
            progress=progress,
        )
    options.finish(summary)


def _ranges(text: str | None) -> tuple[tuple[int, int], ...] | None:
    """Ranges from the text itself, or from a BED file, whose first column is ignored."""
    if text is None:
        return None
    if os.path.exists(text):  # a pipe as well
        return tuple((region.start, region.end) for region in read_bed(text, Refusals()))
    return read_ranges(text)
