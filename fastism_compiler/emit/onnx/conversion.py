"""A traced program as an ONNX model, which ONNX Runtime runs.

The kernels are those that XLA gets; in ONNX Runtime, too, they are faster than
plain convolutions on the window. Weights are inputs: the model is small while it
is rewritten, and its caller binds them to values, or passes them in each call.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import onnx
import tensorflow as tf
import tf2onnx
from tf2onnx.constants import ENV_TF2ONNX_CATCH_ERRORS

from fastism_compiler.emit.functions import scope_name
from fastism_compiler.emit.onnx.handlers import HANDLERS
from fastism_compiler.emit.onnx.hoist import hoist_invariants
from fastism_compiler.emit.onnx.names import clean_names
from fastism_compiler.emit.onnx.scopes import subgraphs
from fastism_compiler.emit.weights import with_weights
from fastism_compiler.errors import UnsupportedError
from fastism_compiler.frontend.source import SourceModel, Weight

OPSET = 18
_CONVERTING = threading.Lock()
"""Held while the environment says how tf2onnx optimizes, and its loggers are silent."""


def onnx_model(
    run: Callable[..., Any],
    specs: Sequence[tf.TensorSpec],
    weights: Sequence[Weight],
    source: SourceModel | None,
    output: Callable[[int], str],
    instead: str,
) -> onnx.ModelProto:
    """The ONNX model of a function.

    Args:
        run: what it computes: a list of tensors; call this under `strict_float32`.
        specs: the tensors that `run` takes; their names are those of the inputs.
        weights: further inputs, named by `weight_name`.
        source: the model, for the names of its layers; None: a loaded program.
        output: the name of a result, by its number.
        instead: what users can do where the converter knows no way.

    Raises:
        UnsupportedError: an op without an ONNX equivalent, with its layer.
    """
    stand_ins = [tf.TensorSpec(w.shape, w.value.dtype, name=weight_name(i)) for i, w in enumerate(weights)]
    traced = tf.function(with_weights(run, source, weights), autograph=False)
    model = _converted(traced, [*specs, *stand_ins], source, instead)
    clean_names(model, {v.name: output(i) for i, v in enumerate(model.graph.output)})
    hoist_invariants(model)
    return model


def weight_name(number: int) -> str:
    """The input that stands for a weight."""
    return f"fastism_weight_{number}"


def _converted(
    traced: Any, specs: Sequence[tf.TensorSpec], source: SourceModel | None, instead: str
) -> onnx.ModelProto:
    # what could not be converted is found below, and said in one error
    with _CONVERTING, _silent("tf2onnx", "tf2onnx.tfonnx"):
        try:
            model = _model_of(traced, specs)
        except Exception as error:
            raise UnsupportedError(
                f"the converter to ONNX failed on this model; {instead}", got=f"{type(error).__name__}: {error}"
            ) from error
    unknown = {n.op_type: _layer_of(n.name, source) for n in _nodes(model.graph) if not _is_known(n)}
    if unknown:
        raise UnsupportedError(
            f"ONNX has no equivalent of an op; {instead}, or write the layer with other ops",
            expected=f"ops of opset {OPSET}",
            got="; ".join(f"{op} in layer {layer!r}" for op, layer in sorted(unknown.items())),
        )
    return model


@contextmanager
def _silent(*names: str) -> Iterator[None]:
    """Inside, these loggers say nothing but what is critical."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _model_of(traced: Any, specs: Sequence[tf.TensorSpec]) -> onnx.ModelProto:
    """What tf2onnx makes of a function.

    Its optimizers work on the graph itself first. They usually get a copy each, so that one which fails can be left
    out; copying takes half of the time. Where one fails, the function is converted again, with copies.
    """
    options = {"input_signature": list(specs), "opset": OPSET, "custom_op_handlers": dict(HANDLERS)}
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


def _layer_of(name: str, source: SourceModel | None) -> str:
    """The layer that an emitted op belongs to, by the scopes in its name."""
    layers = {n.layer for n in source.graph if n.layer} if source is not None else ()
    found = [layer for layer in layers if scope_name(layer) in name]
    return max(found, key=len, default="?")
