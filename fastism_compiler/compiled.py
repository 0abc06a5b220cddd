"""`CompiledISM`: the program that `compile` returns."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

from fastism_compiler.arguments import path as path_argument
from fastism_compiler.errors import UnsupportedError
from fastism_compiler.export.keras_layer import ISMLayer
from fastism_compiler.export.manifest import Manifest
from fastism_compiler.export.write import export_program
from fastism_compiler.runtime.engine_program import EngineProgram


class Recipe(Protocol):
    """A model, and how it is compiled."""

    def __call__(self) -> CompiledISM:
        """Compile the model as it is now."""

    def reduced(self, reduce: Callable[[Any], Any]) -> CompiledISM:
        """Compile the model with a reduction of its results.

        Raises:
            OptionError: it is compiled with a reduction already.
        """

    def for_a_run(self) -> Any:
        """The model, for a run of files, which compiles it by its own settings.

        Raises:
            OptionError: it is compiled with options that a run would not keep.
        """


class CompiledISM(EngineProgram):
    """A model compiled for in-silico mutagenesis. Made by `fastism_compiler.compile`.

    It scores as every `Program` does. It also shows its plan and graph, and
    can be exported.
    """

    _changed: Callable[[], list[str]] | None = None
    _recipe: Recipe | None = None
    _refreshing = threading.RLock()
    """One for all programs: compiling twice at once is slower than one after the other."""

    def follow(self, *, changed: Callable[[], list[str]], recipe: Recipe) -> None:
        """Let the program follow changes of its model that its variables do not show. `compile` calls this.

        Args:
            changed: names of the layers that compute something other than when the program was compiled.
            recipe: makes the same program of the model as it is now; pickles hold it in place of the program.
        """
        self._changed, self._recipe = changed, recipe

    def refresh(self) -> None:
        """Compile again if the model was changed (LoRA, quantization, dtypes, activations); every call does this.

        Raises:
            FastISMError: the changed model cannot be compiled.
        """
        if self._changed is None or self._recipe is None:
            return
        if not self._changed():
            return
        with self._refreshing:
            layers = self._changed()  # another thread may have done it meanwhile
            if not layers:
                return
            shown = ", ".join(map(repr, layers[:3])) + (", ..." if len(layers) > 3 else "")
            message = f"the model was changed after compile (layers {shown}); it is compiled again"
            warnings.warn(message, stacklevel=_frames_of_this_package())
            vars(self).update(vars(self._recipe()))

    def reduced(self, reduce: Callable[[Any], Any]) -> CompiledISM:
        """The same program with `reduce=`: the model is compiled once more.

        Args:
            reduce: as in `compile`.

        Raises:
            OptionError: the program has a reduction already, or `reduce` fails.
            UnsupportedError: a program that `compile` has not made.
        """
        if self._recipe is None:
            raise UnsupportedError(
                "the program keeps no model to compile", expected="a program of compile", got=repr(self)
            )
        return self._recipe.reduced(reduce)

    def for_a_run(self) -> Any:
        """The model, for `scan` and `scan_variants`, which compile it by their own settings.

        Raises:
            OptionError: the program was compiled with options that they would not keep.
            UnsupportedError: a program that `compile` has not made.
        """
        if self._recipe is None:
            raise UnsupportedError(
                "the program keeps no model to compile", expected="a program of compile", got=repr(self)
            )
        return self._recipe.for_a_run()

    def __reduce__(self) -> Any:
        """A program is pickled as its model and options, and compiled again where it is unpickled.

        Copies are made in the same way. Nothing is compared with naive ISM a second time; the block size is chosen by
        the memory that is free. Pickles hold code: load only your own.

        Raises:
            UnsupportedError: a program that `compile` has not made.
        """
        if self._recipe is None:
            return super().__reduce__()
        return self._recipe, ()

    def export(self, path: str | os.PathLike[str], format: str = "savedmodel", **options: Any) -> Manifest:
        """Write the program as an artifact that runs without this package.

        Args:
            path: a file or directory that does not exist yet; its folder does.
            format: `savedmodel` (a directory; runs with TensorFlow alone),
                `ism` (the same in one file, for `fastism_compiler.load`),
                `onnx` (a file; runs with ONNX Runtime), or `stablehlo` (a
                directory; runs with JAX).
            options: `overwrite=True` to replace an exported program; for
                `stablehlo` `batch_size=` (default 1); for `onnx` `function=`
                (`scan`, the default, `saturate` or `reference`), and
                `naive=True` for a loop over whole mutants, to compare with.

        Returns:
            What the artifact says about itself.

        Raises:
            ArtifactError: a target that exists or cannot be written.
            UnsupportedError: a layer that the format cannot express, by name; `fc.around` in `outputs=`.
            VerificationError: ONNX Runtime computes other results from an `onnx` file (a bug; no file is left).
            OptionError: no such format.
        """
        target = path_argument("path", path)
        self._check_whole("an artifact")
        self.refresh()
        return export_program(self, target, format, **options)

    def to_keras_layer(self) -> Any:
        """The program as a `keras.layers.Layer`: `layer(x, replacement=None)` scans, as tensors, with gradients.

        Use it inside a model or a training loop; see `export.keras_layer.ISMLayer`.
        """
        self._check_whole("a layer")
        self.refresh()
        return ISMLayer(self, self._changed)

    def _check_whole(self, what: str) -> None:
        """Refuse a program with `fc.around`: artifacts and layers return whole outputs.

        Raises:
            UnsupportedError: outputs that `fc.around` picks.
        """
        if any(frame is not None for frame in self.selection.frames):
            raise UnsupportedError(
                f"{what} returns whole outputs", expected="outputs= without fc.around", got=self.selection.names
            )


def _frames_of_this_package() -> int:
    """The `stacklevel` with which a warning of the caller shows the line of user code that led here."""
    level = 1
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("fastism_compiler"):
        level, frame = level + 1, frame.f_back
    return level
