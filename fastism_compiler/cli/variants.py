"""`fastism-compiler variants MODEL GENOME VCF OUTPUT`: the effects of listed variants."""

from __future__ import annotations

import click

import fastism_compiler as fc
from fastism_compiler import formats
from fastism_compiler.cli.model import ModelOptions, model_options
from fastism_compiler.cli.run_options import RunOptions, progress_bar, run_options
from fastism_compiler.genomics.sources import Source
from fastism_compiler.runs.settings import DISTANCE
from fastism_compiler.runs.variants import annotated_by


@click.command()
@model_options
@click.argument("genome", type=click.Path())
@click.argument("variants", metavar="VCF", type=click.Path())
@click.argument("output", type=click.Path())
@click.option("--genes", type=click.Path(), help="Of splice: SpliceAI's table of genes, or BED12.")
@click.option(
    "--distance",
    type=click.IntRange(1),
    default=DISTANCE,
    show_default=True,
    help="Of splice: most bases to a site.",
)
@click.option("--mask", is_flag=True, help="Of splice: no gain of annotated sites, no loss of others.")
@run_options
def variants(
    model: ModelOptions,
    genome: str,
    variants: str,
    output: str,
    genes: str | None,
    distance: int,
    mask: bool,
    options: RunOptions,
) -> None:
    """Score the variants of VCF (or BCF, or tab-separated chrom pos ref alt) on GENOME, into the zarr store OUTPUT.

    Substitutions of equal length run through the compiled program; insertions
    and deletions are scored on the whole alternate sequence. Reference alleles
    are compared with the genome. With --to vcf, a VCF is written again, line by line, with the scores as INFO fields
    (bgzipped and indexed if VCF was); from other files a new VCF is made.

    \b
    fastism-compiler variants model.keras hg38.fa variants.vcf.gz effects.zarr --skip --to vcf
    fastism-compiler variants model.keras hg38.fa variants.tsv effects.zarr --reduce sum --score log2fc --to tsv
    fastism-compiler variants splice.keras hg38.fa in.vcf splice.zarr --score splice --genes genes.txt --to vcf

    Exit codes: 0 done, 1 the run or the verification failed, 2 a wrong command, file or setting.
    """  # noqa: D301 (click reads the character)
    settings = fc.VariantSettings(**options.settings(model), genes=genes, distance=distance, mask=mask)
    with Source(variants) as table:
        annotated = annotated_by(table, "vcf") if "vcf" in options.to else None
        options.check(output, formats.VARIANTS, annotated)
        with progress_bar("variants", options.quiet) as progress:
            summary = fc.scan_variants(
                model.path,
                genome,
                table,
                output,
                settings=settings,
                execution=options.execution,
                progress=progress,
            )
        options.finish(summary, annotated)
