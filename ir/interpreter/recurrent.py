"""Recurrent cells, and the loop that runs one along positions (see `ir.ops.recurrent`)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from fastism_compiler.ir.interpreter.arrays import Array
from fastism_compiler.ir.interpreter.functions import FUNCTIONS
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.ops.recurrent import STATES

State = tuple[Array, ...]
"""The hidden state `[n, u]` first; an LSTM's carry second."""
Cell = Callable[[Node, Array, State, Array, Array], State]
"""`(node, projections [n, gates * u], state, recurrent kernel, recurrent bias) -> state`"""


def _lstm(node: Node, p: Array, state: State, kernel: Array, bias: Array) -> State:
    """Hochreiter and Schmidhuber 1997, with a forget gate: gates in the order input, forget, carry, output."""
    hidden, carry = state
    activation, gate = FUNCTIONS[node.attrs["activation"]], FUNCTIONS[node.attrs["recurrent_activation"]]
    i, f, c, o = np.split(p + hidden @ kernel, 4, axis=1)
    carry = gate(f) * carry + gate(i) * activation(c)
    return gate(o) * activation(carry), carry


def _gru(node: Node, p: Array, state: State, kernel: Array, bias: Array) -> State:
    """Cho et al. 2014: gates in the order update, reset, candidate; the reset comes before or after the product."""
    (hidden,) = state
    activation, gate = FUNCTIONS[node.attrs["activation"]], FUNCTIONS[node.attrs["recurrent_activation"]]
    update, reset, candidate = np.split(p, 3, axis=1)
    inner_update, inner_reset, inner_candidate = np.split(hidden @ kernel + bias, 3, axis=1)
    update, reset = gate(update + inner_update), gate(reset + inner_reset)
    if not node.attrs["reset_after"]:
        inner_candidate = (reset * hidden) @ np.split(kernel, 3, axis=1)[2]
        reset = np.ones_like(reset)
    return (update * hidden + (1 - update) * activation(candidate + reset * inner_candidate),)


def _simple(node: Node, p: Array, state: State, kernel: Array, bias: Array) -> State:
    """Elman 1990: `activation(p + h @ kernel)`."""
    return (FUNCTIONS[node.attrs["activation"]](p + state[0] @ kernel),)


CELLS: dict[str, Cell] = {"lstm": _lstm, "gru": _gru, "simple": _simple}


def recurrent_states(node: Node, p: Array, kernel: Array, *bias: Array) -> Array:
    """The whole state in front of each position, in the direction of the run: `[n, L + 1, states * u]`.

    Entry `i` is the state before position `i`; in reverse, the state before position `i - 1`.
    """
    units, cell = kernel.shape[0], node.attrs["cell"]
    state: State = tuple(np.zeros((len(p), units)) for _ in range(STATES[cell]))
    states = [state]
    for position in range(p.shape[1])[:: -1 if node.attrs["reverse"] else 1]:
        state = CELLS[cell](node, p[:, position], state, kernel, sum(bias, np.zeros(kernel.shape[1])))
        states.append(state)
    run = np.stack([np.concatenate(s, axis=1) for s in states], axis=1)
    return run[:, ::-1] if node.attrs["reverse"] else run


def recurrence(node: Node, p: Array, kernel: Array, *bias: Array) -> Array:
    """Every position's hidden state, `[n, L, u]`; all of its state where the carry is kept."""
    states = recurrent_states(node, p, kernel, *bias)
    states = states if node.attrs.get("carry") else states[:, :, : kernel.shape[0]]
    return states[:, :-1] if node.attrs["reverse"] else states[:, 1:]
