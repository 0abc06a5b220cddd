"""`fastism-compiler verify MODEL`: the program against naive ISM."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from fastism_compiler.cli.model import ModelOptions, model_options


@click.command()
@model_options
@click.option("--ranges", type=click.IntRange(1), default=32, show_default=True, help="How many positions to compare.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(model: ModelOptions, ranges: int, as_json: bool) -> None:
    """Compare a compiled MODEL with naive ISM on random one-hot sequences; exit code 1 if they differ.

    Example: fastism-compiler verify model.keras --ranges 100
    """
    program = model.compile()
    report = program.verify(ranges=ranges)
    click.echo(json.dumps(asdict(report), indent=2) if as_json else str(report))
