"""Lowering rules for contractions: einsum, matmul, dot, tensordot.

A value times a constant becomes a Dense, on any axes. Two values are multiplied element by element if one of them has
all axes of the other. Other products of two values (attention scores) stay opaque: every position reads every other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from string import ascii_letters
from typing import Any

from fastism_compiler.frontend.builder import Builder, Decline, refuse_batch
from fastism_compiler.ir import Node
from fastism_compiler.ir.types import FLOATS, promote


def contract(builder: Builder, terms: Sequence[str], result: str, operands: Sequence[Node]) -> Node:
    """`einsum` of one or two operands, one letter per axis.

    Args:
        builder: adds the nodes.
        terms: the letters of each operand; no letter twice in one.
        result: the letters of the result.
        operands: nodes; the batch axis, where there is one, is the first.

    Raises:
        Decline: a product without a lowering.
        UnsupportedError: a sum over the batch.
    """
    if any(node.type.dtype not in FLOATS for node in operands):
        raise Decline("a product of integers")
    if any(len(set(term)) < len(term) for term in (*terms, result)):
        raise Decline("a diagonal of an axis with itself")
    batch = {term[0] for term, node in zip(terms, operands, strict=True) if node.type.batched}
    if len(batch) > 1 or not batch <= set(result[:1]):
        raise refuse_batch(builder, "a product that is summed over the batch")
    if any(batch & set(term) for term, node in zip(terms, operands, strict=True) if not node.type.batched):
        raise Decline("a product with a constant that has an axis for the batch")
    operands = _promoted(builder, operands)
    if len(operands) == 1:
        return _permuted(builder, *_summed(builder, terms[0], operands[0], result), result)
    if len(operands) != 2:
        raise Decline("a product of more than two operands")
    (first, x), (second, y) = zip(terms, operands, strict=True)
    if not x.type.batched:
        first, x, second, y = second, y, first, x
    x_letters, x = _summed(builder, first, x, second + result)
    y_letters, y = _summed(builder, second, y, first + result)
    if not y.type.batched and not set(x_letters) & set(y_letters) & set(result):
        letters, product = _dense(builder, x_letters, x, y_letters, y, result)
    elif set(y_letters) <= set(x_letters) or set(x_letters) <= set(y_letters):
        letters, product = _elementwise(builder, x_letters, x, y_letters, y, result)
    else:
        raise Decline("a product of two values in which every position meets others")
    return _permuted(builder, letters, product, result)


def _promoted(builder: Builder, operands: Sequence[Node]) -> list[Node]:
    """The operands in their common dtype, as Keras casts them."""
    dtype = promote([node.type for node in operands])
    return [node if node.type.dtype == dtype else builder.add("cast", node, dtype=dtype) for node in operands]


def _summed(builder: Builder, letters: str, x: Node, kept: str) -> tuple[str, Node]:
    """The sum over the axes that nothing else names."""
    axes = tuple(i for i, c in enumerate(letters) if c not in kept)
    if not axes:
        return letters, x
    return "".join(c for c in letters if c in kept), builder.add("reduce_sum", x, axes=axes, keepdims=False)


def _permuted(builder: Builder, letters: str, x: Node, result: str) -> Node:
    perm = tuple(letters.index(c) for c in result)
    return x if perm == tuple(range(len(perm))) else builder.add("transpose", x, perm=perm)


def _dense(builder: Builder, first: str, x: Node, second: str, y: Node, result: str) -> tuple[str, Node]:
    """Contract the axes that both have as one dense op, with `y` as the kernel."""
    summed = "".join(c for c in first if c in second)
    kept, new = "".join(c for c in first if c not in second), "".join(c for c in second if c not in first)
    sizes = {c: x.type.extent(i) for i, c in enumerate(first) if i} | {
        c: y.type.extent(i) for i, c in enumerate(second)
    }
    x = _permuted(builder, first, x, kept + summed)
    y = _permuted(builder, second, y, summed + new)
    inner, outer = (math.prod(sizes[c] for c in part) for part in (summed, new))
    lead = [sizes[c] for c in kept[1:]]
    x = builder.add("reshape", x, shape=(*lead, inner))
    product = builder.add("dense", x, builder.add("reshape", y, shape=(inner, outer)))
    return kept + new, builder.add("reshape", product, shape=(*lead, *(sizes[c] for c in new)))


def _elementwise(builder: Builder, first: str, x: Node, second: str, y: Node, result: str) -> tuple[str, Node]:
    """The product where one has all axes of the other, summed over the axes that the result leaves out."""
    if len(second) > len(first):
        first, x, second, y = second, y, first, x
    y = _permuted(builder, second, y, "".join(c for c in first if c in second))
    sizes = [x.type.extent(i) if c in second else 1 for i, c in enumerate(first) if i]
    product = builder.add("multiply", x, builder.add("reshape", y, shape=tuple(sizes)))
    return _summed(builder, first, product, result)


def einsum(builder: Builder, operation: Any, *operands: Any) -> Node:
    """einsum of one or two operands; `...` stands for the axes that are left."""
    nodes = [builder.node(x) for x in operands]
    left, _, result = operation.subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if "->" not in operation.subscripts:
        raise Decline("an einsum without a named result")
    free = [c for c in ascii_letters if c not in operation.subscripts]
    rests = [n.type.rank - len(t.replace("...", "")) for t, n in zip(terms, nodes, strict=True) if "..." in t]
    rest = free[: max(rests, default=0)]
    counts = iter(rests)
    terms = [t.replace("...", "".join(rest[len(rest) - next(counts) :])) if "..." in t else t for t in terms]
    return contract(builder, terms, result.replace("...", "".join(rest)), nodes)


def matmul(builder: Builder, operation: Any, a: Any, b: Any) -> Node:
    """matmul: rows of one times columns of the other, batched over the leading axes."""
    x, y = builder.node(a), builder.node(b)
    ranks = x.type.rank, y.type.rank
    if min(ranks) < 2:
        raise Decline("a product with a vector")
    lead = ascii_letters[: max(ranks) - 2]
    terms = [lead[len(lead) - (rank - 2) :] + tail for rank, tail in zip(ranks, ("YZ", "ZX"), strict=True)]
    if any(
        n.type.shape[i] == 1 and len(lead) > 0 and n.type.rank > 2 for n in (x, y) for i in range(1, n.type.rank - 2)
    ):
        raise Decline("a product that is broadcast over an axis")
    return contract(builder, terms, lead + "YX", [x, y])


def dot(builder: Builder, operation: Any, a: Any, b: Any) -> Node:
    """dot with a matrix or a vector of constants."""
    x, y = builder.node(a), builder.node(b)
    if y.type.batched or y.type.rank > 2 or not x.type.batched:
        raise Decline("a dot product of two values")
    lead = ascii_letters[: x.type.rank - 1]
    return contract(builder, [lead + "Z", "ZX"[: y.type.rank]], lead + "X"[: y.type.rank - 1], [x, y])


def tensordot(builder: Builder, operation: Any, a: Any, b: Any) -> Node:
    """tensordot with a constant."""
    x, y = builder.node(a), builder.node(b)
    axes = operation.axes
    if isinstance(axes, int):
        axes = (range(x.type.rank - axes, x.type.rank), range(axes))
    mine, others = ([n] if isinstance(n, int) else list(n) for n in axes)
    first, second = list(ascii_letters[: x.type.rank]), list(ascii_letters[x.type.rank :][: y.type.rank])
    for i, j in zip(mine, others, strict=True):
        second[j % y.type.rank] = first[i % x.type.rank]
    result = [c for c in first if c not in second] + [c for c in second if c not in first]
    return contract(builder, ["".join(first), "".join(second)], "".join(result), [x, y])


OPERATIONS: dict[str, Callable[..., Any]] = {"Einsum": einsum, "Matmul": matmul, "Dot": dot, "Tensordot": tensordot}
"""Class name of a `keras.ops` operation -> lowering rule."""
