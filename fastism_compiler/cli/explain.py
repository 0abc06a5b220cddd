"""`fastism-compiler explain MODEL`: the plan."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from fastism_compiler.cli.model import ModelOptions, model_options


@click.command()
@model_options
@click.option("--graph", is_flag=True, help="Print the annotated graph instead of the table.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--draw", type=click.Path(dir_okay=False), help="Also draw the graph, as a .svg, .png or .pdf file.")
@click.option("--overwrite", is_flag=True, help="Also replace a file that is not this command's, or was changed since.")
def explain(model: ModelOptions, graph: bool, as_json: bool, draw: str | None, overwrite: bool) -> None:
    """Say what a compiled MODEL (.keras, .h5, .onnx, SavedModel) will do: layers, windows, kernels, time, memory.

    Example: fastism-compiler explain model.keras --draw model.svg
    """
    if draw is not None:
        _check(draw, overwrite)
    program = model.compile()
    if graph:
        click.echo(program.text())
    elif as_json:
        click.echo(json.dumps(asdict(program.plan), indent=2))
    else:
        click.echo(str(program.plan))
    if draw is not None:
        _draw(program.graph, draw, overwrite)


def _check(path: str, overwrite: bool) -> None:
    """Refuse an unusable drawing path before the model is compiled."""
    # late: the command line starts without what only some commands draw with
    from fastism_compiler.plot.style import check_target

    check_target(path, overwrite=overwrite)


def _draw(graph: Any, path: str, overwrite: bool) -> None:
    # late, as above
    from fastism_compiler.plot import graph_figure, save

    save(graph_figure(graph), path, overwrite=overwrite)
