"""Recurrences: LSTM, GRU and RNN, in one direction or in both."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastism_compiler.frontend.builder import Decline
from fastism_compiler.frontend.counts import Varying
from fastism_compiler.frontend.onnx.call import Call, Rule
from fastism_compiler.frontend.onnx.views import View, plain
from fastism_compiler.ir import Node
from fastism_compiler.mutations.inputs import Array

_GATES = {"LSTM": (0, 2, 3, 1), "GRU": (0, 1, 2), "RNN": (0,)}
"""ONNX's number of each gate, in the graph's order: input, forget, cell, output; update, reset, hidden."""
_CELLS = {"LSTM": "lstm", "GRU": "gru", "RNN": "simple"}
_ACTIVATIONS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_REVERSED = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
_NAMES = {"Tanh": "tanh", "Sigmoid": "sigmoid", "Relu": "relu", "Softsign": "softsign", "Softplus": "softplus"}


def _recurrent(call: Call) -> list[Any]:
    """Hidden states `[L, directions, B, H]` and the last states `[directions, B, H]`."""
    x, batch = call.view(0), 0 if call.get("layout", 0) else 1
    if x.axes[batch] != (0,):
        raise Decline("its sequences do not lie on its batch axis")
    _check(call)
    steps = plain(call.builder, x.permuted((1, 0, 2)) if batch else x)
    directions = _REVERSED[call.get("direction", "forward")]
    states = [_direction(call, steps, number, reverse) for number, reverse in enumerate(directions)]
    last = [[_last(call, s, reverse) for s in own] for own, reverse in zip(states, directions, strict=True)]
    hidden = _stacked(call, [own[0] for own in states])
    every = View(hidden, ((1,), (2,), (0,), (3,)) if batch else ((0,), (1,), (2,), (3,)))
    ends = [_stacked(call, [own[number] for own in last]) for number in range(len(last[0]))]
    return [every, *(View(end, ((1,), (0,), (2,)) if batch else ((0,), (1,), (2,))) for end in ends)]


def _check(call: Call) -> None:
    """Refuse what has no rule.

    Raises:
        Decline: by name.
    """
    names = tuple(call.get("activations") or ())
    count = len(_ACTIVATIONS[call.kind])
    if names[count:] not in ((), names[:count]):
        raise Decline("different activations in the two directions")
    if call.kind == "LSTM" and (names[1:2] != names[2:3] or call.get("input_forget", 0)):
        raise Decline("an LSTM with coupled gates, or two activations for the cell")
    if call.get("clip") or call.given(4):
        raise Decline("clipped states, or the input sequence_lens")
    if any(call.given(i) and not _is_zero(call.operands[i]) for i in (5, 6)):
        raise Decline("initial states that are not zero")
    if call.given(7) and np.any(call.constant(7)):
        raise Decline("peepholes")


def _is_zero(x: Any) -> bool:
    values = x.pair if isinstance(x, Varying) else (x,)
    return all(isinstance(v, np.ndarray) and not v.any() for v in values)


def _direction(call: Call, x: Node, number: int, reverse: bool) -> list[Node]:
    """The states at every step, `[B, L, H]`: hidden, and an LSTM's cell state if its last value may be read."""
    kernel, recurrent = (_reordered(call, call.constant(i)[number]).T for i in (1, 2))
    units = len(recurrent)
    add, after = call.builder.add, call.kind == "GRU" and bool(call.get("linear_before_reset", 0))
    bias = call.constant(3)
    bias = np.zeros((2, kernel.shape[1]), kernel.dtype) if bias is None else bias[number].reshape(2, -1)
    of_input, of_state = (_reordered(call, b) for b in bias)
    if not after:
        of_input = of_input + of_state
    projections = add("add", add("dense", x, np.ascontiguousarray(kernel)), of_input)
    activations = [*(call.get("activations") or _ACTIVATIONS[call.kind])]
    carry = call.kind == "LSTM" and call.results > 2
    states = add(
        "recurrence",
        projections,
        np.ascontiguousarray(recurrent),
        *([of_state] if after else []),
        cell=_CELLS[call.kind],
        activation=_named(activations[min(1, len(_ACTIVATIONS[call.kind]) - 1)]),
        recurrent_activation=_named(activations[0]) if call.kind != "RNN" else "identity",
        reverse=reverse,
        reset_after=after,
        **({"carry": True} if carry else {}),
    )
    if not carry:
        return [states]
    return [add("slice", states, axis=2, begin=n * units, end=(n + 1) * units) for n in range(2)]


def _reordered(call: Call, x: Array) -> Array:
    """Gates along the first axis in the graph's order."""
    gates = _GATES[call.kind]
    blocks = np.split(x, len(gates))
    return np.concatenate([blocks[g] for g in gates])


def _named(activation: str) -> str:
    if activation not in _NAMES:
        raise Decline(f"the activation {activation} in a recurrent cell")
    return _NAMES[activation]


def _last(call: Call, states: Node, reverse: bool) -> Node:
    """The state after the last step, `[B, H]`."""
    at = 0 if reverse else states.type.extent(1) - 1
    end = call.builder.add("slice", states, axis=1, begin=at, end=at + 1)
    return call.builder.add("reshape", end, shape=(states.type.extent(2),))


def _stacked(call: Call, parts: list[Node]) -> Node:
    """Both directions on an axis in front of the channels."""
    *sizes, channels = (parts[0].type.extent(i) for i in range(1, parts[0].type.rank))
    nodes = [call.builder.add("reshape", part, shape=(*sizes, 1, channels)) for part in parts]
    return nodes[0] if len(nodes) == 1 else call.builder.add("concat", *nodes, axis=len(sizes) + 1)


OPERATORS: dict[str, Rule] = dict.fromkeys(_CELLS, _recurrent)
"""ONNX operator -> lowering rule."""
