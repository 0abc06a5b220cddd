"""`fastism-compiler export MODEL OUTPUT --format F`: the program as an artifact."""

from __future__ import annotations

from typing import Any, Literal

import click

from fastism_compiler.cli.model import ModelOptions, model_options
from fastism_compiler.export.target import FORMATS


@click.command()
@model_options
@click.argument("output", type=click.Path())
@click.option("--format", "chosen", type=click.Choice(FORMATS), default="savedmodel", show_default=True)
@click.option(
    "--batch-size", type=click.IntRange(1, 1 << 16), help="Sequences per call of a StableHLO module (default 1)."
)
@click.option("--function", type=click.Choice(("scan", "saturate", "reference")), help="ONNX: what to export.")
@click.option("--target", type=click.Choice(("cpu", "gpu")), help="What to plan for (default: what is here).")
@click.option("--overwrite", is_flag=True, help="Replace an exported program.")
def export(
    model: ModelOptions,
    output: str,
    chosen: str,
    batch_size: int | None,
    function: str | None,
    target: Literal["cpu", "gpu"] | None,
    overwrite: bool,
) -> None:
    """Compile MODEL and write the program to OUTPUT, to run without this package.

    savedmodel: a directory for TensorFlow. ism: the same in one file, for fastism_compiler.load.
    onnx: a file for ONNX Runtime. stablehlo: a directory for JAX, with a runner.

    Example: fastism-compiler export model.keras scan.onnx --format onnx
    """
    options: dict[str, Any] = {"overwrite": overwrite}
    for name, value, owner in (("batch_size", batch_size, "stablehlo"), ("function", function, "onnx")):
        if value is not None and chosen != owner:
            raise click.UsageError(f"--{name.replace('_', '-')} goes with --format {owner}")
        options |= {name: value} if value is not None else {}
    program = model.compile(target=target)
    manifest = program.export(output, chosen, **options)
    click.echo(f"{output}: {', '.join(manifest.functions)} of {manifest.model}, {len(manifest.starts)} ranges")
