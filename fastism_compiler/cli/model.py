"""The MODEL that every command takes, and the options that say how to read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

import fastism_compiler as fc
from fastism_compiler.genomics.fields import index_number


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How a command reads its MODEL.

    Attributes:
        path: a `.keras` or `.h5` file.
        seq_input: the mutated input, by position or name.
        length: sequence length, where the model leaves it open.
        stop_at: layers from which on everything is recomputed.
    """

    path: str
    seq_input: int | str
    length: int | None
    stop_at: tuple[str, ...]

    def compile(self, **options: Any) -> fc.CompiledISM:
        """Compile the model."""
        options = {"verify": False, **options}
        return fc.compile(self.path, seq_input=self.seq_input, length=self.length, stop_at=self.stop_at, **options)


def model_options(command: Any) -> Any:
    """Give a command its MODEL argument and options; they arrive as one `model: ModelOptions`."""

    def run(*, model: str, seq_input: str, length: int | None, stop_at: tuple[str, ...], **others: Any) -> Any:
        chosen: int | str = seq_input if (number := index_number(seq_input)) is None else number
        return command(model=ModelOptions(model, chosen, length, stop_at), **others)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    decorated: Any = run
    for option in (
        click.option("--seq-input", default="0", show_default=True, help="Mutated input, by number or name."),
        click.option("--length", type=int, help="Sequence length, where the model leaves it open."),
        click.option("--stop-at", multiple=True, help="Layer from which on everything is recomputed (repeatable)."),
        click.argument("model", type=click.Path(exists=True, dir_okay=False)),
    ):
        decorated = option(decorated)
    return decorated
