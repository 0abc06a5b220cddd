"""StableHLO: a module per function, the weights beside them, and a runner that needs JAX alone.

Modules have static shapes: a fixed number of sequences, which the runner
pads to. Weights are parameters, stored once for all modules.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from fastism_compiler.arguments import whole
from fastism_compiler.emit.precision import strict_float32
from fastism_compiler.emit.stablehlo import dtype_of, stablehlo_module
from fastism_compiler.emit.weights import weights_read, with_weights
from fastism_compiler.errors import UnsupportedError
from fastism_compiler.export.describe import describe
from fastism_compiler.export.manifest import Manifest, folder_digests
from fastism_compiler.export.savedmodel import portable_of, positional_function, signature
from fastism_compiler.frontend.source import Weight
from fastism_compiler.runtime.engine_program import EngineProgram

MANIFEST, WEIGHTS, RUNNER = "manifest.json", "weights.npz", "run_with_jax.py"


def write_stablehlo(program: EngineProgram, folder: Path, batch_size: int = 1) -> Manifest:
    """Write a program as StableHLO modules.

    Args:
        program: the program.
        folder: a new directory.
        batch_size: sequences per call of a module.

    Returns:
        The manifest, which is also in `folder`.

    Raises:
        OptionError: a batch size that is not a positive integer.
        UnsupportedError: a float64 model, a layer with ops that XLA does not know, or with weights of its own.
    """
    _check(program, batch_size)
    folder.mkdir()
    manifest = replace(describe(program, "stablehlo"), batch_size=batch_size)
    source, portable = program.engines[0].source, portable_of(program, jit=True)
    modules: dict[str, Any] = {}
    used: dict[int, Weight] = {}
    with strict_float32():
        for name in manifest.functions:
            specs = signature(name, manifest, batch_size)
            run = positional_function(portable, name, manifest)
            weights = weights_read(run, list(specs.values()), source)
            whole = with_weights(run, source, weights)
            text, held = stablehlo_module(whole, [*specs.values()], weights, source, "export as savedmodel or onnx")
            weights += [_Held(variable) for variable in held]
            used |= {id(w.value): w for w in weights}
            (folder / f"{name}.mlir").write_text(text)
            modules[name] = {"file": f"{name}.mlir", "inputs": _inputs(specs), "weights": weights}
    keys = _write_weights(list(used.values()), folder / WEIGHTS)
    for module in modules.values():
        module["weights"] = [keys[id(w.value)] for w in module["weights"]]
    shutil.copy(Path(__file__).with_name(RUNNER), folder / RUNNER)
    listed = [{"key": keys[i], "path": w.path, "dtype": dtype_of(w)} for i, w in used.items()]
    details = {"modules": modules, "weights": listed}
    manifest = replace(manifest, details=details, files=folder_digests(folder, but=MANIFEST))
    (folder / MANIFEST).write_text(manifest.to_json())
    return manifest


@dataclass(slots=True)
class _Held:
    """A constant that a module takes as an argument.

    Attributes:
        value: a variable or tensor that holds it.
        path: what it is called: it has no layer.
    """

    value: Any
    path: str = "constant"

    @property
    def shape(self) -> Any:
        """Its shape."""
        return self.value.shape


def _check(program: EngineProgram, batch_size: int) -> None:
    whole("batch_size", batch_size, 1)
    if any(node.type.dtype == "float64" for node in program.engines[0].graph):
        raise UnsupportedError(
            "float64 is not exported: XLA's float64 code is wrong on CPUs", expected="a float32 model, or savedmodel"
        )


def _inputs(specs: dict[str, tf.TensorSpec]) -> list[dict[str, Any]]:
    return [{"name": name, "shape": list(spec.shape), "dtype": spec.dtype.name} for name, spec in specs.items()]


def _write_weights(weights: Sequence[Weight], path: Path) -> dict[int, str]:
    """Write the weights' values; the key of each, by the identity of its variable."""
    keys = {id(w.value): f"w{number}" for number, w in enumerate(weights)}
    np.savez(
        path, allow_pickle=False, **{keys[id(w.value)]: np.asarray(tf.convert_to_tensor(w.value)) for w in weights}
    )
    return keys
