"""Lowering rules for recurrent layers: a per-position Dense, then a recurrence over its projections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from fastism_compiler.frontend.builder import Builder, Decline
from fastism_compiler.frontend.keras.activations import FUNCTIONS
from fastism_compiler.ir import Node
from fastism_compiler.ir.ops.recurrent import STATES

L = keras.layers

_CELLS: dict[type, tuple[str, type]] = {
    L.LSTM: ("lstm", L.LSTMCell),
    L.GRU: ("gru", L.GRUCell),
    L.SimpleRNN: ("simple", L.SimpleRNNCell),
}
"""Layer class -> kind of cell, and the class its cell must have."""
_CELL_KINDS = {cell: kind for kind, cell in _CELLS.values()}
_MERGES = {"sum": "add", "mul": "multiply"}


def recurrent(builder: Builder, layer: Any, x: Node, initial_state: Any = None) -> Any:
    """LSTM, GRU and SimpleRNN, or an RNN of one of their cells.

    The last hidden state, or all of them in the order they are computed; then the last states, if they are returned.
    """
    states = _states(builder, layer, x, initial_state)
    last = [_last(builder, state, layer.go_backwards) for state in states]
    if not layer.return_sequences:
        result = last[0]
    else:
        result = builder.add("flip", states[0], axis=1) if layer.go_backwards else states[0]
    return [result, *last] if layer.return_state else result


def _last(builder: Builder, state: Node, backwards: bool) -> Node:
    """The state after the last step."""
    at = 0 if backwards else state.type.extent(1) - 1
    state = builder.add("slice", state, axis=1, begin=at, end=at + 1)
    return builder.add("reshape", state, shape=(state.type.extent(2),))


def bidirectional(builder: Builder, layer: Any, x: Node, initial_state: Any = None) -> Any:
    """Both directions of one recurrent layer, merged; positions stay in order."""
    if initial_state is not None or layer.return_state:
        raise Decline("initial states are given, or final states returned")
    results = []
    for inner in (layer.forward_layer, layer.backward_layer):
        if type(inner) not in _CELLS:
            raise Decline(f"Bidirectional over {type(inner).__name__}")
        results.append(recurrent(builder, inner, x))
    if layer.return_sequences:  # the second result is reversed, whatever its direction
        results[1] = builder.add("flip", results[1], axis=1)
    forward, backward = results
    if layer.merge_mode is None:
        return results
    if layer.merge_mode == "concat":
        return builder.add("concat", forward, backward, axis=forward.type.rank - 1)
    if layer.merge_mode == "ave":
        return builder.add("divide", builder.add("add", forward, backward), 2.0)
    return builder.add(_MERGES[layer.merge_mode], forward, backward)


def _states(builder: Builder, layer: Any, x: Node, initial_state: Any) -> list[Node]:
    """Every position's hidden state; an LSTM's carry too, where the layer returns it."""
    cell: Any = layer.cell
    kind = _CELL_KINDS.get(type(cell))
    if kind is None:
        raise Decline(f"a recurrent layer with the cell {type(cell).__name__}")
    if initial_state is not None:
        raise Decline("initial states are given")
    carry = layer.return_state and STATES[kind] > 1
    projections = builder.add("dense", x, builder.parameter(cell.kernel))
    recurrent_bias = None
    if cell.use_bias:
        bias = builder.parameter(cell.bias)
        if bias.type.rank == 2:
            bias, recurrent_bias = (_row(builder, bias, i) for i in range(2))
        projections = builder.add("add", projections, bias)
    parameters = [builder.parameter(cell.recurrent_kernel), *([recurrent_bias] if recurrent_bias else [])]
    states = builder.add(
        "recurrence",
        projections,
        *parameters,
        cell=kind,
        activation=_name(cell.activation),
        recurrent_activation=_name(getattr(cell, "recurrent_activation", None)),
        reverse=bool(layer.go_backwards),
        reset_after=bool(getattr(cell, "reset_after", False)),
        **({"carry": True} if carry else {}),
    )
    if not carry:
        return [states]
    units = parameters[0].type.extent(0)
    return [builder.add("slice", states, axis=2, begin=n * units, end=(n + 1) * units) for n in range(STATES[kind])]


def _row(builder: Builder, table: Node, row: int) -> Node:
    """One row of a parameter."""
    part = builder.add("slice", table, axis=0, begin=row, end=row + 1)
    return builder.add("reshape", part, shape=(table.type.extent(1),))


_PLAIN = ("tanh", "sigmoid", "relu", "hard_sigmoid", "softplus", "softsign", "exponential", "elu", "selu", "silu")
"""Activations whose defaults are those of their op."""


def _name(activation: Any) -> str:
    if activation is None or activation is keras.activations.linear:
        return "identity"
    name = FUNCTIONS.get(activation)
    if name not in _PLAIN:
        raise Decline(f"the activation {getattr(activation, '__name__', activation)!s} in a recurrent cell")
    return name


LAYERS: dict[type, Callable[..., Any]] = {
    **dict.fromkeys(_CELLS, recurrent),
    L.RNN: recurrent,
    L.Bidirectional: bidirectional,
}
"""Keras layer class -> lowering rule."""
