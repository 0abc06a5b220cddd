"""A traced program as a StableHLO module, which other runtimes compile."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from fastism_compiler.emit.rounded_products import mark_rounded_products
from fastism_compiler.emit.weights import opaque_layers
from fastism_compiler.errors import UnsupportedError
from fastism_compiler.frontend.source import SourceModel, Weight


def stablehlo_module(
    run: Callable[..., Any],
    specs: Sequence[tf.TensorSpec],
    weights: Sequence[Weight],
    source: SourceModel | None,
    instead: str,
) -> tuple[str, list[Any]]:
    """One module; its parameters are the tensors in order, the weights, and the variables that it reads besides.

    Args:
        run: what it computes; trace it under `strict_float32`.
        specs: the tensors that `run` takes, with static shapes.
        weights: what it takes behind them.
        source: the model, for the names of its layers; None: a loaded program.
        instead: what users can do where XLA does not know an op.

    Returns:
        its text, and these variables: those of a loaded program, constants held in some, tensors that users' functions
        close over.

    Raises:
        UnsupportedError: an op that XLA does not know.
    """
    compiled = tf.function(run, jit_compile=True, autograph=False)
    values = [tf.TensorSpec(w.shape, dtype_of(w)) for w in weights]
    try:
        text = str(compiled.experimental_get_compiler_ir(*specs, *values)(stage="stablehlo"))
        trace = compiled.get_concrete_function(*specs, *values)
    except (tf.errors.OpError, NotImplementedError, ValueError, TypeError) as error:
        raise UnsupportedError(
            f"XLA cannot compile an op of this model, and stop_at= does not change that; {instead}",
            expected=f"ops that XLA knows, in layers {opaque_layers(source)}",
            got=str(error).partition("\n")[0],
        ) from error
    known = {id(v.handle): v for v in trace.variables}
    return mark_rounded_products(_spelled_out(_without_locations(text))), [
        known.get(id(t), t) for t in trace.captured_inputs
    ]


def dtype_of(weight: Weight) -> str:
    """The dtype of a weight, by name."""
    return str(weight.value.dtype.name)


_TEXT = r'"(?:[^"\\]|\\.)*"'
_LOCATION = re.compile(rf' loc\((?:[^()"]|{_TEXT}|\((?:[^()"]|{_TEXT}|\([^()]*\))*\))*\)')


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
