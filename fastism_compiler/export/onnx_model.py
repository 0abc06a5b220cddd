"""ONNX: one function of a program as a model for ONNX Runtime, checked and compared before it is handed over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from fastism_compiler.arguments import flag, text
from fastism_compiler.emit.onnx import bind_weights, onnx_model, weight_name
from fastism_compiler.emit.precision import strict_float32
from fastism_compiler.emit.weights import weights_read
from fastism_compiler.errors import UnsupportedError
from fastism_compiler.export.describe import describe
from fastism_compiler.export.manifest import Manifest
from fastism_compiler.export.onnx_check import check_onnx
from fastism_compiler.export.portable import Portable
from fastism_compiler.export.savedmodel import positional_function, signature
from fastism_compiler.frontend.source import Weight
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.passes.choose_program import ChooseProgramPass
from fastism_compiler.runtime.engine import Engine
from fastism_compiler.runtime.engine_program import EngineProgram

_EXTERNAL_ABOVE = 1_500_000_000
"""Bytes of weights; protobuf ends at 2 GB."""


@dataclass(frozen=True, slots=True)
class OnnxOptions:
    """What is exported.

    Attributes:
        function: `scan`, `saturate` or `reference`.
        naive: whole mutants through the model, in a loop: what to measure the program against.
    """

    function: str = "scan"
    naive: bool = False


def write_onnx(program: EngineProgram, path: Path, data: Path, options: OnnxOptions) -> Manifest:
    """Write a function of a program as an ONNX model, opset 18, for any number of sequences.

    Inputs are `x [B, L, C]`, for a scan `replacement [w, C]`, and extra
    inputs by name; outputs are `[B, R, *out]` under the model's names. The
    manifest is in the model's metadata. A row that only the model itself
    could score is NaN.

    Args:
        program: the program.
        path: where to write the model.
        data: where to write the weights, if there is more than 1.5 GB of them.
        options: what to export.

    Raises:
        OptionError: a function that the program does not have.
        UnsupportedError: an op without an ONNX equivalent, with its layer; or the `onnx` extra is missing.
        VerificationError: ONNX Runtime disagrees with the program.
    """
    naive = flag("naive", options.naive)
    runtime = _runtime()
    engines = [_naive(e) if naive else e for e in program.engines]
    manifest = describe(program, "onnx", engines)
    if text("function", options.function) not in manifest.functions:
        raise OptionError("no such function", expected=", ".join(manifest.functions), got=repr(options.function))
    manifest = replace(manifest, functions=(options.function,))
    model = _converted(program, engines, manifest)
    _write(model, manifest, path, data)
    check_onnx(program, manifest, path, runtime)
    return manifest


def _runtime() -> Any:
    try:
        import onnxruntime  # an extra, not always installed
    except ImportError as error:
        raise UnsupportedError(
            "an exported ONNX model is compared in ONNX Runtime before it is handed over",
            expected="pip install 'fastism-compiler[onnx]'",
            got=str(error),
        ) from error
    return onnxruntime


def _naive(engine: Engine) -> Engine:
    """The same ranges, every mutant scored whole."""
    step = ChooseProgramPass(break_even=float("inf"))
    return engine.retargeted(engine.pipeline.replace(step.name, step), engine.context)


def _converted(program: EngineProgram, engines: Sequence[Engine], manifest: Manifest) -> onnx.ModelProto:
    """The model with its weights, rewritten and named."""
    (function,) = manifest.functions
    portable = Portable(
        engines,
        program.buckets,
        program.letters,
        program.inputs.sequence,
        naive_rows=program.naive.rows,
        jit=False,
    )
    source, specs = engines[0].source, list(signature(function, manifest).values())
    run = positional_function(portable, function, manifest)
    with strict_float32():
        weights = weights_read(run, specs, source)
        name = [t.name for t in manifest.outputs].__getitem__
        model = onnx_model(run, specs, weights, source, name, "export as savedmodel or stablehlo")
    paths = [f"{w.path}#{i}" if _is_repeated(w, weights) else str(w.path) for i, w in enumerate(weights)]
    values = [(weight_name(i), f"weights/{paths[i]}", np.asarray(w.value)) for i, w in enumerate(weights)]
    bind_weights(model, values)
    return model


def _is_repeated(weight: Weight, weights: Sequence[Weight]) -> bool:
    return sum(w.path == weight.path for w in weights) > 1


def _write(model: onnx.ModelProto, manifest: Manifest, path: Path, data: Path) -> None:
    model.producer_name, model.producer_version = "fastism-compiler", manifest.package
    model.doc_string = f"{manifest.functions[0]} of {manifest.model}: in-silico mutagenesis"
    onnx.helper.set_model_props(model, {"fastism": manifest.to_json()})
    size = sum(len(t.raw_data) for t in model.graph.initializer)
    if size > _EXTERNAL_ABOVE:
        onnx.save_model(model, path, save_as_external_data=True, location=data.name)
    else:
        onnx.save_model(model, path)
