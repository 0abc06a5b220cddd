"""The MODEL that every command takes, and the options that say how to read it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import click

import fastism_compiler as fc
from fastism_compiler.frontend.backend import check_backend
from fastism_compiler.frontend.custom_code import load_custom
from fastism_compiler.frontend.ensemble.models import Ensemble
from fastism_compiler.genomics.fields import index_number
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.runs.settings import MEAN_OF_SCORES


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How a command reads its MODEL.

    Attributes:
        path: a `.keras`, `.h5` or `.onnx` file, or a SavedModel folder.
        seq_input: the mutated input, by position or name.
        length: sequence length, where the model leaves it open.
        stop_at: layers from which on everything is recomputed.
        imports: modules of the user that register layers.
        custom: `NAME=MODULE:CLASS` for each class that the file names and Keras does not have.
        safe_mode: refuse a file that holds Python code or names what is not allowed.
        also: further model files, whose outputs are combined with those of the first.
        combine: how.
    """

    path: str
    seq_input: int | str
    length: int | None
    stop_at: tuple[str, ...]
    imports: tuple[str, ...]
    custom: tuple[str, ...]
    safe_mode: bool
    also: tuple[str, ...]
    combine: str

    @property
    def source(self) -> Any:
        """What `compile` takes: the path, or several models as one."""
        if self.combine == MEAN_OF_SCORES:
            raise OptionError(
                "only `variants` scores models one by one", expected="--combine mean or logits", got="scores"
            )
        if self.combine != "mean" and not self.also:
            raise OptionError("--combine is for several models", expected="--also, the other models", got="one model")
        return Ensemble((self.path, *self.also), self.combine) if self.also else self.path

    @property
    def settings(self) -> dict[str, Any]:
        """The fields of `Settings` that say how to read the model."""
        return {name: value for name, value in asdict(self).items() if name != "path"}

    def compile(self, **options: Any) -> fc.CompiledISM:
        """Compile the model."""
        options = {"verify": False, **options}
        return fc.compile(
            self.source,
            seq_input=self.seq_input,
            length=self.length,
            stop_at=self.stop_at,
            custom_objects=load_custom(self.imports, self.custom),
            safe_mode=self.safe_mode,
            **options,
        )

    @property
    def reading(self) -> Any:
        """How a frontend reads the model (`ReadOptions`).

        Raises:
            OptionError: a module or class of the user that cannot be imported.
        """
        # TensorFlow is imported late: the command line starts without it
        from fastism_compiler.frontend.source import ReadOptions

        custom = load_custom(self.imports, self.custom)
        return ReadOptions(self.seq_input, self.length, custom, self.safe_mode)


def model_options(command: Any) -> Any:
    """Give a command its MODEL argument and options; they arrive as one `model: ModelOptions`."""

    def run(*, model: str, seq_input: str, unsafe_load: bool, **others: Any) -> Any:
        check_backend()
        chosen: int | str = seq_input if (number := index_number(seq_input)) is None else number
        own = {name: others.pop(name) for name in ("length", "stop_at", "imports", "custom", "also", "combine")}
        return command(model=ModelOptions(model, chosen, safe_mode=not unsafe_load, **own), **others)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    decorated: Any = run
    for option in (
        click.option("--seq-input", default="0", show_default=True, help="Mutated input, by number or name."),
        click.option("--length", type=int, help="Sequence length, where the model leaves it open."),
        click.option("--stop-at", multiple=True, help="Layer from which on everything is recomputed (repeatable)."),
        click.option(
            "--import",
            "imports",
            multiple=True,
            metavar="MODULE",
            help="Import this module first: it registers layers with Keras, or rules for them (repeatable).",
        ),
        click.option(
            "--custom",
            multiple=True,
            metavar="NAME=MODULE:CLASS",
            help="What the model file calls NAME is CLASS of MODULE (repeatable).",
        ),
        click.option(
            "--also",
            multiple=True,
            type=click.Path(exists=True),
            metavar="FILE",
            help="A further model, such as a fold: outputs are combined with those of MODEL (repeatable).",
        ),
        click.option(
            "--combine",
            type=click.Choice(["mean", "logits", MEAN_OF_SCORES]),
            default="mean",
            show_default=True,
            help="How: the mean; for probabilities the mean of log odds; for variants the mean of each one's scores.",
        ),
        click.option(
            "--unsafe-load",
            is_flag=True,
            help="Run Python code that MODEL holds. Only for files of people you trust.",
        ),
        click.argument("model", type=click.Path(exists=True)),
    ):
        decorated = option(decorated)
    return decorated
