"""StableHLO: a module per function, the weights beside them, and a runner that needs JAX alone.

Modules have static shapes: a fixed number of sequences, which the runner
pads to. Weights are parameters, stored once for all modules.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from fastism_compiler.arguments import whole
from fastism_compiler.emit.precision import strict_float32
from fastism_compiler.emit.weights import opaque_layers, weights_read, with_weights
from fastism_compiler.errors import UnsupportedError
from fastism_compiler.export.describe import describe
from fastism_compiler.export.manifest import Manifest, folder_digests
from fastism_compiler.export.rounded_products import mark_rounded_products
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
            used |= {id(w): w for w in weights}
            whole = with_weights(run, source, weights)
            text = _module(whole, [*specs.values()], weights, opaque_layers(source))
            (folder / f"{name}.mlir").write_text(text)
            modules[name] = {"file": f"{name}.mlir", "inputs": _inputs(specs), "weights": weights}
    keys = _write_weights(list(used.values()), folder / WEIGHTS)
    for module in modules.values():
        module["weights"] = [keys[id(w)] for w in module["weights"]]
    shutil.copy(Path(__file__).with_name(RUNNER), folder / RUNNER)
    listed = [{"key": keys[i], "path": w.path, "dtype": _dtype(w)} for i, w in used.items()]
    details = {"modules": modules, "weights": listed}
    manifest = replace(manifest, details=details, files=folder_digests(folder, but=MANIFEST))
    (folder / MANIFEST).write_text(manifest.to_json())
    return manifest


def _check(program: EngineProgram, batch_size: int) -> None:
    whole("batch_size", batch_size, 1)
    if any(node.type.dtype == "float64" for node in program.engines[0].graph):
        raise UnsupportedError(
            "float64 is not exported: XLA's float64 code is wrong on CPUs", expected="a float32 model, or savedmodel"
        )


def _module(
    run: Any, specs: Sequence[tf.TensorSpec], weights: Sequence[Weight], opaque: Sequence[str]
) -> str:  # fmt: skip
    """The text of one module; its parameters are the tensors in order, then the weights."""
    compiled = tf.function(run, jit_compile=True, autograph=False)
    values = [tf.TensorSpec(w.shape, _dtype(w)) for w in weights]
    try:
        text = str(compiled.experimental_get_compiler_ir(*specs, *values)(stage="stablehlo"))
    except (tf.errors.OpError, NotImplementedError, ValueError, TypeError) as error:
        raise UnsupportedError(
            "XLA cannot compile an op of this model, and stop_at= does not change that; export as savedmodel or onnx",
            expected=f"ops that XLA knows, in layers {list(opaque)}",
            got=str(error).partition("\n")[0],
        ) from error
    return mark_rounded_products(_spelled_out(_without_locations(text)))


_LOCATION = re.compile(r' loc\((?:"(?:[^"\\]|\\.)*"|#loc\d*)(?:\(#loc\d*\))?\)')


def _without_locations(text: str) -> str:
    """A module without the source locations in it: they name files on this machine, and nothing reads them."""
    lines = [line for line in text.splitlines() if not line.startswith("#loc")]
    return _LOCATION.sub("", "\n".join(lines)) + "\n"


_BOOLEANS = re.compile(r'dense<"0x([0-9A-Fa-f]+)">( : tensor<([0-9x]+)xi1>)')


def _spelled_out(text: str) -> str:
    """A module with boolean constants as lists: from hexadecimals, some versions read 8 per byte, some 1."""

    def spell(match: re.Match[str]) -> str:
        data = np.frombuffer(bytes.fromhex(match[1]), np.uint8)
        shape = [int(extent) for extent in match[3].split("x")]
        count = int(np.prod(shape))
        bits = data if len(data) == count else np.unpackbits(data, bitorder="little")[:count]
        return f"dense<{str(bits.astype(bool).reshape(shape).tolist()).lower()}>{match[2]}"

    return _BOOLEANS.sub(spell, text)


def _inputs(specs: dict[str, tf.TensorSpec]) -> list[dict[str, Any]]:
    return [{"name": name, "shape": list(spec.shape), "dtype": spec.dtype.name} for name, spec in specs.items()]


def _write_weights(weights: Sequence[Weight], path: Path) -> dict[int, str]:
    """Write the weights' values; the key of each, by identity."""
    keys = {id(w): f"w{number}" for number, w in enumerate(weights)}
    np.savez(path, allow_pickle=False, **{keys[id(w)]: np.asarray(tf.convert_to_tensor(w.value)) for w in weights})
    return keys


def _dtype(weight: Weight) -> str:
    return str(weight.value.dtype.name)
