"""Recurrent cells, and the loop that runs one along positions: whole, or from the middle on."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from fastism_compiler.emit.functions import Tensor, function_named
from fastism_compiler.ir import Node

State = tuple[Tensor, ...]
"""The hidden state `[n, u]` first; an LSTM's carry second."""
Cell = Callable[[Node, Tensor, State, Tensor, Tensor | None], State]
"""`(node, projections [n, gates * u], state, recurrent kernel, recurrent bias) -> state`"""


def _functions(node: Node) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    return function_named(node.attrs["activation"]), function_named(node.attrs["recurrent_activation"])


def _lstm(node: Node, p: Tensor, state: State, kernel: Tensor, bias: Tensor | None) -> State:
    """Hochreiter and Schmidhuber 1997, with a forget gate: gates in the order input, forget, carry, output."""
    (hidden, carry), (activation, gate) = state, _functions(node)
    i, f, c, o = tf.split(p + tf.matmul(hidden, kernel), 4, axis=1)
    carry = gate(f) * carry + gate(i) * activation(c)
    return gate(o) * activation(carry), carry


def _gru(node: Node, p: Tensor, state: State, kernel: Tensor, bias: Tensor | None) -> State:
    """Cho et al. 2014: gates in the order update, reset, candidate; the reset comes before or after the product."""
    (hidden,), (activation, gate) = state, _functions(node)
    update, reset, candidate = tf.split(p, 3, axis=1)
    if node.attrs["reset_after"]:
        inner = tf.matmul(hidden, kernel)
        inner = inner if bias is None else inner + bias
        inner_update, inner_reset, inner_candidate = tf.split(inner, 3, axis=1)
        update, reset = gate(update + inner_update), gate(reset + inner_reset)
        candidate = activation(candidate + reset * inner_candidate)
    else:
        kernel_update, kernel_reset, kernel_candidate = tf.split(kernel, 3, axis=1)
        update = gate(update + tf.matmul(hidden, kernel_update))
        reset = gate(reset + tf.matmul(hidden, kernel_reset))
        candidate = activation(candidate + tf.matmul(reset * hidden, kernel_candidate))
    return (update * hidden + (1 - update) * candidate,)


def _simple(node: Node, p: Tensor, state: State, kernel: Tensor, bias: Tensor | None) -> State:
    """Elman 1990: `activation(p + h @ kernel)`."""
    activation, _ = _functions(node)
    return (activation(p + tf.matmul(state[0], kernel)),)


CELLS: dict[str, Cell] = {"lstm": _lstm, "gru": _gru, "simple": _simple}


def scan(
    node: Node,
    projections: Callable[[Tensor], Tensor],
    initial: State,
    first: Tensor,
    length: int,
    parameters: list[Tensor],
    keep: Callable[[State], Tensor],
) -> Tensor:
    """Run the node's cell from position `first` to the end (to the beginning, if it runs in reverse).

    Args:
        node: a recurrence, for its cell, activations and direction.
        projections: `position -> [n, gates * u]`.
        initial: the state before `first`.
        first: position of the first step, a scalar int32.
        length: positions.
        parameters: recurrent kernel and, where there is one, recurrent bias.
        keep: what to collect of the state after each step, `[n, k]`.

    Returns:
        `[n, length, k]`; positions that no step reached repeat the first step.
    """
    kernel, bias = parameters[0], parameters[1] if len(parameters) > 1 else None
    step = -1 if node.attrs["reverse"] else 1
    kept = keep(initial)
    store = tf.TensorArray(kept.dtype, size=length, element_shape=kept.shape, clear_after_read=False)

    first = tf.cast(first, tf.int32)
    count = first + 1 if node.attrs["reverse"] else length - first

    def body(i: Tensor, state: State, store: tf.TensorArray) -> tuple[Tensor, State, tf.TensorArray]:
        state = CELLS[node.attrs["cell"]](node, projections(first + i * step), state, kernel, bias)
        # written in the order of iterations: ONNX loops can write in no other
        return i + 1, state, store.write(i, keep(state))

    *_, store = tf.while_loop(
        lambda i, *_: i < count,
        body,
        (tf.constant(0, tf.int32), initial, store),
        maximum_iterations=length,
        parallel_iterations=1,
    )
    when = tf.maximum((tf.range(length, dtype=tf.int32) - first) * step, 0)
    return tf.transpose(tf.gather(store.stack(), when), [1, 0, 2])


def _whole(node: Node, p: Tensor, parameters: list[Tensor], keep: Callable[[State], Tensor]) -> Tensor:
    length, units = p.shape[1], parameters[0].shape[0]
    zero = tf.zeros([p.shape[0] or tf.shape(p)[0], units], p.dtype)
    initial = (zero, zero) if node.attrs["cell"] == "lstm" else (zero,)
    first = tf.constant(length - 1 if node.attrs["reverse"] else 0, tf.int32)
    return scan(node, lambda i: p[:, i], initial, first, length, parameters, keep)


def recurrence(node: Node, p: Tensor, *parameters: Tensor) -> Tensor:
    """Hidden states of whole sequences: `[n, L, u]`."""
    return _whole(node, p, list(parameters), kept_states(node))


def kept_states(node: Node) -> Callable[[State], Tensor]:
    """What a recurrence returns of each step's state: the hidden state, or all of it."""
    return (lambda state: tf.concat(state, axis=1)) if node.attrs.get("carry") else (lambda state: state[0])


def recurrent_states(node: Node, p: Tensor, *parameters: Tensor) -> Tensor:
    """States before each position, in the direction of the run: `[n, L + 1, states * u]`.

    Entry `i` is the state before position `i`; in reverse, the state before
    position `i - 1`. The initial state is 0.
    """
    states = _whole(node, p, list(parameters), lambda state: tf.concat(state, axis=1))
    nothing = tf.zeros_like(states[:, :1])
    return tf.concat([states, nothing] if node.attrs["reverse"] else [nothing, states], axis=1)
