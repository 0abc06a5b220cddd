"""ONNX: one function of a program as a model for ONNX Runtime, checked and compared before it is handed over.

The kernels are those that XLA gets; in ONNX Runtime, too, they are faster than
plain convolutions on the window. Weights are inputs until the model has been
rewritten.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from tf2onnx.constants import ENV_TF2ONNX_CATCH_ERRORS

from fastism_compiler.arguments import flag, text
from fastism_compiler.emit.functions import scope_name
from fastism_compiler.emit.precision import strict_float32
from fastism_compiler.emit.weights import weights_read, with_weights
from fastism_compiler.errors import UnsupportedError
from fastism_compiler.export.describe import describe
from fastism_compiler.export.manifest import Manifest
from fastism_compiler.export.onnx_check import check_onnx
from fastism_compiler.export.onnx_functions import HANDLERS
from fastism_compiler.export.onnx_passes import bind_weights, clean_names, hoist_invariants
from fastism_compiler.export.onnx_passes.scopes import subgraphs
from fastism_compiler.export.portable import Portable
from fastism_compiler.export.savedmodel import positional_function, signature
from fastism_compiler.frontend.source import Weight
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.passes.choose_program import ChooseProgramPass
from fastism_compiler.runtime.engine import Engine
from fastism_compiler.runtime.engine_program import EngineProgram

OPSET = 18
_CONVERTING = threading.Lock()
"""Held while the environment says how tf2onnx optimizes."""
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
    specs = signature(function, manifest)
    run = positional_function(portable, function, manifest)
    with strict_float32():
        weights = weights_read(run, list(specs.values()), engines[0].source)
        stand_ins = [tf.TensorSpec(w.shape, w.value.dtype, name=f"fastism_weight_{i}") for i, w in enumerate(weights)]
        traced = tf.function(with_weights(run, engines[0].source, weights), autograph=False)
        model = _convert(traced, [*specs.values(), *stand_ins], engines)
    outputs = {v.name: t.name for v, t in zip(model.graph.output, manifest.outputs, strict=True)}
    clean_names(model, outputs)
    hoist_invariants(model)
    paths = [f"{w.path}#{i}" if _is_repeated(w, weights) else str(w.path) for i, w in enumerate(weights)]
    bound = zip(stand_ins, paths, weights, strict=True)
    bind_weights(model, [(s.name, f"weights/{path}", np.asarray(w.value)) for s, path, w in bound])
    return model


def _is_repeated(weight: Weight, weights: Sequence[Weight]) -> bool:
    return sum(w.path == weight.path for w in weights) > 1


def _convert(traced: Any, specs: Sequence[tf.TensorSpec], engines: Sequence[Engine]) -> onnx.ModelProto:
    loggers = [logging.getLogger("tf2onnx"), logging.getLogger("tf2onnx.tfonnx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)  # what could not be converted is found below, and said in one error
    try:
        model = _model_of(traced, specs)
    except Exception as error:
        raise UnsupportedError(
            "the converter to ONNX failed on this model; export as savedmodel or stablehlo instead",
            got=f"{type(error).__name__}: {error}",
        ) from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    unknown = {n.op_type: _layer_of(n.name, engines) for n in _nodes(model.graph) if not _is_known(n)}
    if unknown:
        raise UnsupportedError(
            "ONNX has no equivalent of an op; export as savedmodel or stablehlo, or write the layer with other ops",
            expected=f"ops of opset {OPSET}",
            got="; ".join(f"{op} in layer {layer!r}" for op, layer in sorted(unknown.items())),
        )
    return model


def _model_of(traced: Any, specs: Sequence[tf.TensorSpec]) -> onnx.ModelProto:
    """What tf2onnx makes of a function.

    Its optimizers work on the graph itself first. They usually get a copy each, so that one which fails can be left
    out; copying takes half of the time. Where one fails, the function is converted again, with copies.
    """
    options = {"input_signature": list(specs), "opset": OPSET, "custom_op_handlers": dict(HANDLERS)}
    with _CONVERTING:
        asked = os.environ.get(ENV_TF2ONNX_CATCH_ERRORS)
        try:
            os.environ[ENV_TF2ONNX_CATCH_ERRORS] = "FALSE"
            return tf2onnx.convert.from_function(traced, **options)[0]
        except Exception:  # an optimizer raises anything; what is not of one comes again
            del os.environ[ENV_TF2ONNX_CATCH_ERRORS]
            return tf2onnx.convert.from_function(traced, **options)[0]
        finally:
            os.environ.pop(ENV_TF2ONNX_CATCH_ERRORS, None)
            os.environ |= {} if asked is None else {ENV_TF2ONNX_CATCH_ERRORS: asked}


def _nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    return [m for n in graph.node for m in [n, *(i for g in subgraphs(n) for i in _nodes(g))]]


def _is_known(node: onnx.NodeProto) -> bool:
    return node.domain not in ("", "ai.onnx") or onnx.defs.has(node.op_type, OPSET, "")


def _layer_of(name: str, engines: Sequence[Engine]) -> str:
    """The layer that an emitted op belongs to, by the scopes in its name."""
    layers = {n.layer for e in engines for n in e.graph if n.layer}
    found = [layer for layer in layers if scope_name(layer) in name]
    return max(found, key=len, default="?")


def _write(model: onnx.ModelProto, manifest: Manifest, path: Path, data: Path) -> None:
    model.producer_name, model.producer_version = "fastism-compiler", manifest.package
    model.doc_string = f"{manifest.functions[0]} of {manifest.model}: in-silico mutagenesis"
    onnx.helper.set_model_props(model, {"fastism": manifest.to_json()})
    size = sum(len(t.raw_data) for t in model.graph.initializer)
    if size > _EXTERNAL_ABOVE:
        onnx.save_model(model, path, save_as_external_data=True, location=data.name)
    else:
        onnx.save_model(model, path)
