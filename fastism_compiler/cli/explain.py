"""`fastism-compiler explain MODEL`: the plan."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from fastism_compiler.cli.model import ModelOptions, model_options


@click.command()
@model_options
@click.option("--graph", is_flag=True, help="Print the annotated graph instead of the table.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(model: ModelOptions, graph: bool, as_json: bool) -> None:
    """Say what a compiled MODEL (.keras or .h5) will do: layers, windows, kernels, arithmetic, memory.

    Example: fastism-compiler explain model.keras
    """
    program = model.compile()
    if graph:
        click.echo(program.text())
    elif as_json:
        click.echo(json.dumps(asdict(program.plan), indent=2))
    else:
        click.echo(str(program.plan))
