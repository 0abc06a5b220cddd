"""Contractions: MatMul, Gemm, Einsum."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters
from typing import Any

import numpy as np
from keras import ops

from fastism_compiler.frontend.builder import Decline, refuse_batch
from fastism_compiler.frontend.onnx.call import Call, Rule
from fastism_compiler.frontend.onnx.views import View, permuted_node, reshaped_node, single
from fastism_compiler.mutations.inputs import Array


def dense(call: Call, view: View, kernel: Array) -> View:
    """The last axis of a tensor times a matrix `[in, out]`, its rows permuted to the order of the node's elements."""
    builder, node, group = call.builder, view.node, view.axes[-1]
    if 0 in group:
        raise Decline("a product that is summed over the sequences")
    inner = sorted(group)
    others = [a for a in range(node.type.rank) if a not in group]
    sizes = [node.type.extent(a) for a in group]
    rows = kernel.reshape([*sizes, -1]).transpose([*(group.index(a) for a in inner), len(group)])
    moved = permuted_node(builder, node, [*others, *inner])
    flat = reshaped_node(builder, moved, [*(node.type.extent(a) for a in others[1:]), len(kernel)])
    made = builder.add("dense", flat, np.ascontiguousarray(rows.reshape(kernel.shape)))
    place = {a: i for i, a in enumerate(others)}
    return View(made, (*(tuple(place[a] for a in g) for g in view.axes[:-1]), (len(others),)))


def einsum(call: Call, terms: Sequence[str], result: str, operands: Sequence[Any]) -> View:
    """`einsum`, one letter per axis of the tensors; axes of one element broadcast."""
    operands = _in_equal_parts(call, terms, operands)
    parts = _parts_of_letters(terms, operands)
    free = iter(ascii_letters)
    names = {letter: [next(free) for _ in sizes] for letter, sizes in parts.items()}
    equation, given = [], []
    for term, operand in zip(terms, operands, strict=True):
        letters, value = _spelled(call, term, operand, parts, names)
        equation.append(letters)
        given.append(value)
    batch = _batch_letter(terms, operands)
    if batch not in result:
        raise refuse_batch(call.builder, "a product that is summed over the sequences")
    sequences = names[batch][parts[batch].index(0)]
    spelled = [name for letter in result for name in names[letter]]
    order = [sequences, *(name for name in spelled if name != sequences)]
    text = f"{','.join(equation)}->{''.join(order)}"
    node = call.follow(lambda *x: ops.einsum(text, *x), *given)
    return View(node, tuple(tuple(order.index(name) for name in names[letter]) for letter in result))


def _batch_letter(terms: Sequence[str], operands: Sequence[Any]) -> str:
    """The letter of the axis that the sequences are on."""
    found = {term[x.batch] for term, x in zip(terms, operands, strict=True) if isinstance(x, View)}
    if len(found) != 1:
        raise Decline("a product of different sequences with each other")
    return found.pop()


def _extents(view: View, axis: int) -> tuple[int, ...]:
    return tuple(0 if a == 0 else view.node.type.extent(a) for a in view.axes[axis])


def _in_equal_parts(call: Call, terms: Sequence[str], operands: Sequence[Any]) -> list[Any]:
    """The operands; an axis that is made up of different parts in two of them is a single one in both."""
    given = list(operands)
    for letter in dict.fromkeys("".join(terms)):
        places = [(i, term.index(letter)) for i, term in enumerate(terms) if letter in term]
        long = [(i, a) for i, a in places if isinstance(given[i], View) and given[i].extent(a) != 1]
        found = {_extents(given[i], axis) for i, axis in long}
        if len(found) > 1 and not any(0 in extents for extents in found):
            for i, axis in long:
                given[i], _ = single(call.builder, given[i], axis)
    return given


def _parts_of_letters(terms: Sequence[str], operands: Sequence[Any]) -> dict[str, tuple[int, ...]]:
    """Elements along the parts of each letter's axis, the same in every operand; 0 for the sequences."""
    parts: dict[str, tuple[int, ...]] = {}
    # constants take the parts of what has a value for each sequence
    for term, operand in sorted(zip(terms, operands, strict=True), key=lambda pair: isinstance(pair[1], np.ndarray)):
        for axis, letter in enumerate(term):
            extent = operand.extent(axis) if isinstance(operand, View) else operand.shape[axis]
            own = _extents(operand, axis) if isinstance(operand, View) else (extent,)
            if extent == 1 and 0 not in own:
                parts.setdefault(letter, ())
            elif not parts.get(letter):
                parts[letter] = own
            elif isinstance(operand, View) and parts[letter] != own:
                raise Decline("a product of axes that are made up of different parts")
    return parts


def _spelled(
    call: Call, term: str, operand: Any, parts: dict[str, tuple[int, ...]], names: dict[str, list[str]]
) -> tuple[str, Any]:
    """A letter for each axis of an operand's node, and the node; axes of one element are gone."""
    if not isinstance(operand, View):
        kept = [letter for axis, letter in enumerate(term) if operand.shape[axis] != 1]
        if any(0 in parts[letter] for letter in kept):
            raise Decline("a constant that differs from sequence to sequence")
        spelled = "".join(name for letter in kept for name in names[letter])
        return spelled, operand.reshape([n for letter in kept for n in parts[letter]])
    found: dict[int, str] = {}
    for axis, letter in enumerate(term):
        if operand.extent(axis) != 1 or 0 in operand.axes[axis]:
            found.update(zip(operand.axes[axis], names[letter], strict=True))
    node = operand.node
    order = [a for a in range(node.type.rank) if a in found]
    kept_shape = [node.type.extent(a) for a in order if a]
    return "".join(found[a] for a in order), reshaped_node(call.builder, node, kept_shape)


def _matmul(call: Call) -> View:
    x, y = call.operands
    if isinstance(x, View) and isinstance(y, np.ndarray) and y.ndim == 2 and x.rank > 1:
        return dense(call, x, y)
    ranks = [v.rank if isinstance(v, View) else v.ndim for v in (x, y)]
    lead = ascii_letters[: max(*ranks, 2) - 2]
    tails = "YZ" if ranks[0] > 1 else "Z", "ZX" if ranks[1] > 1 else "Z"
    terms = [lead[len(lead) - max(rank - 2, 0) :] + tail for rank, tail in zip(ranks, tails, strict=True)]
    result = lead + "Y" * (ranks[0] > 1) + "X" * (ranks[1] > 1)
    return einsum(call, terms, result, [x, y])


def _gemm(call: Call) -> View:
    """`alpha * A @ B + beta * C`; B may be transposed, A may not."""
    x, kernel = call.view(0), call.constant(1)
    if call.get("transA", 0):
        raise Decline("a product that is summed over the sequences")
    kernel = kernel.T if call.get("transB", 0) else kernel
    alpha, beta = call.get("alpha", 1.0), call.get("beta", 1.0)
    made = dense(call, x, np.ascontiguousarray(kernel if alpha == 1 else kernel * np.asarray(alpha, kernel.dtype)))
    if not call.given(2):
        return made
    offset = call.operands[2]
    if isinstance(offset, View):
        return call.add("add", made, offset if beta == 1 else call.add("multiply", offset, np.float32(beta)))
    return call.add("add", made, offset if beta == 1 else offset * np.asarray(beta, offset.dtype))


def _einsum(call: Call) -> View:
    left, arrow, result = call.get("equation").replace(" ", "").partition("->")
    if "." in left or not arrow:
        raise Decline("an equation with an ellipsis, or without a result")
    return einsum(call, left.split(","), result, call.operands)


OPERATORS: dict[str, Rule] = {"Einsum": _einsum, "Gemm": _gemm, "MatMul": _matmul}
"""ONNX operator -> lowering rule."""
