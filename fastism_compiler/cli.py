"""The command line: `fastism-compiler COMMAND`, or `python -m fastism_compiler COMMAND`.

Needs the `cli` extra (click, rich).
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

try:
    import click
except ImportError as error:  # pragma: no cover (the extra is installed where tests run)
    raise SystemExit("the command line needs an extra: pip install 'fastism-compiler[cli]'") from error

import fastism_compiler as fc


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(fc.__version__)
def main() -> None:
    """Fast, exact in-silico mutagenesis for Keras 3 models."""


def _model_options(command: Any) -> Any:
    """Options that every command with a MODEL takes."""
    for option in (
        click.option("--seq-input", default="0", show_default=True, help="Mutated input, by number or name."),
        click.option("--length", type=int, help="Sequence length, where the model leaves it open."),
        click.option("--stop-at", multiple=True, help="Layer from which on everything is recomputed (repeatable)."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.argument("model", type=click.Path(exists=True, dir_okay=False)),
    ):
        command = option(command)
    return command


def _compile(model: str, seq_input: str, length: int | None, stop_at: tuple[str, ...]) -> Any:
    chosen: int | str = int(seq_input) if seq_input.isdigit() else seq_input
    try:
        return fc.compile(model, seq_input=chosen, length=length, stop_at=list(stop_at), verify=False)
    except fc.FastISMError as error:
        raise click.ClickException(str(error)) from error


@main.command()
@_model_options
@click.option("--graph", is_flag=True, help="Print the annotated graph instead of the table.")
def explain(
    model: str, seq_input: str, length: int | None, stop_at: tuple[str, ...], as_json: bool, graph: bool
) -> None:
    """Say what a compiled MODEL (.keras or .h5) will do: layers, windows, kernels, arithmetic, memory.

    Example: fastism-compiler explain model.keras
    """
    program = _compile(model, seq_input, length, stop_at)
    if graph:
        click.echo(program.text())
    elif as_json:
        click.echo(json.dumps(asdict(program.plan), indent=2))
    else:
        click.echo(str(program.plan))


@main.command()
@_model_options
@click.option("--ranges", default=32, show_default=True, help="How many positions to compare.")
def verify(
    model: str, seq_input: str, length: int | None, stop_at: tuple[str, ...], as_json: bool, ranges: int
) -> None:
    """Compare a compiled MODEL with naive ISM on random one-hot sequences; exit code 1 if they differ.

    Example: fastism-compiler verify model.keras --ranges 100
    """
    program = _compile(model, seq_input, length, stop_at)
    try:
        report = program.verify(ranges=ranges)
    except fc.VerificationError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    click.echo(json.dumps(asdict(report), indent=2) if as_json else str(report))
