"""Views: how the axes of a model's tensor lie in a node, so that transposes and most reshapes move nothing.

ONNX models put channels in front of positions, recurrences put positions in
front of sequences, and attention puts sequences and heads on one axis. The
graph has one order of its own: `[B, L, C]` wherever positions are convolved.
A `View` says which axes of its node make up each axis of the tensor; rules
work on nodes, and elements are moved only where an operator needs them so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise
from typing import Any

import numpy as np

from fastism_compiler.frontend.builder import Builder, Decline
from fastism_compiler.ir import Node
from fastism_compiler.mutations.inputs import Array

Groups = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class View:
    """A tensor of the model that has a value for each sequence.

    Attributes:
        node: holds its elements as `[B, ...]`.
        axes: for each axis of the tensor, the axes of the node that make it up, the slowest-varying first (row-major);
            none for an axis of one element.
    """

    node: Node
    axes: Groups

    @staticmethod
    def of(node: Node) -> View:
        """A node as it is."""
        return View(node, tuple((axis,) for axis in range(node.type.rank)))

    @property
    def rank(self) -> int:
        """Axes of the tensor."""
        return len(self.axes)

    @property
    def batch(self) -> int:
        """The axis of the tensor on which the sequences lie."""
        return next(i for i, group in enumerate(self.axes) if 0 in group)

    @property
    def before(self) -> int:
        """Number of elements that vary more slowly than the sequences: the product of the extents before them."""
        order = [a for group in self.axes for a in group]
        return math.prod(self.node.type.extent(a) for a in order[: order.index(0)])

    def extent(self, axis: int, sequences: int = 1) -> int:
        """Elements along an axis of the tensor."""
        return math.prod(sequences if a == 0 else self.node.type.extent(a) for a in self.axes[axis])

    def shape(self, sequences: int) -> tuple[int, ...]:
        """The tensor's shape with this number of sequences."""
        return tuple(self.extent(axis, sequences) for axis in range(self.rank))

    def over(self, node: Node) -> View:
        """The same axes over another node of the same rank."""
        return replace(self, node=node)

    def permuted(self, perm: Sequence[int]) -> View:
        """The tensor with its axes in another order; nothing moves."""
        return replace(self, axes=tuple(self.axes[i] for i in perm))

    def without(self, gone: Iterable[int], keep: bool, node: Node) -> View:
        """The tensor after a reduction over the axes `gone`.

        Args:
            gone: axes of the tensor.
            keep: the reduced axes stay, with one element each.
            node: the reduced node, without the node axes of `gone`.
        """
        dropped = sorted(a for i in gone for a in self.axes[i])
        moved = [tuple(a - sum(d < a for d in dropped) for a in g if a not in dropped) for g in self.axes]
        return View(node, tuple(g for i, g in enumerate(moved) if keep or i not in set(gone)))


def permuted_node(builder: Builder, node: Node, order: Sequence[int]) -> Node:
    """The node with its axes in this order; the first stays the first."""
    same = tuple(order) == tuple(range(len(order)))
    return node if same else builder.add("transpose", node, perm=tuple(order))


def reshaped_node(builder: Builder, node: Node, shape: Sequence[int]) -> Node:
    """The node in this shape (without the batch axis)."""
    return node if node.type.shape[1:] == tuple(shape) else builder.add("reshape", node, shape=tuple(shape))


def plain(builder: Builder, view: View) -> Node:
    """A node whose axes are those of the tensor.

    Raises:
        Decline: the sequences are not on its first axis.
    """
    order = [a for group in view.axes for a in group]
    if view.axes[0] != (0,):
        raise Decline("its sequences do not lie on the first axis")
    moved = permuted_node(builder, view.node, order)
    return reshaped_node(builder, moved, [view.extent(i) for i in range(1, view.rank)])


def single(builder: Builder, view: View, axis: int) -> tuple[View, int]:
    """The tensor over a node in which `axis` is a single axis, and the number of that axis.

    Raises:
        Decline: the axis of the sequences.
    """
    group = view.axes[axis]
    if 0 in group:
        raise Decline("it works along the axis of the sequences")
    if len(group) == 1:
        return view, group[0]
    others = [a for a in range(view.node.type.rank) if a not in group]
    moved = permuted_node(builder, view.node, [*others, *group])
    node = reshaped_node(builder, moved, [*(view.node.type.extent(a) for a in others[1:]), view.extent(axis)])
    place = {a: i for i, a in enumerate(others)}
    axes = tuple((len(others),) if i == axis else tuple(place[a] for a in g) for i, g in enumerate(view.axes))
    return View(node, axes), len(others)


# Several operands


@dataclass(frozen=True, slots=True)
class _Part:
    """One axis of the node that several operands share.

    Attributes:
        axis: the axis of the tensors that it is part of.
        number: which part of that axis, counted from the slowest-varying.
        extent: its elements; 0 for the sequences.
    """

    axis: int
    number: int
    extent: int


@dataclass(frozen=True, slots=True)
class Together:
    """Operands in one layout.

    Attributes:
        operands: nodes, and arrays for constants, which broadcast from the right.
        axes: of the result, as in `View`.
    """

    operands: list[Any]
    axes: Groups

    def view(self, node: Node) -> View:
        """The view of a result, a node of the broadcast shape."""
        return View(node, self.axes)


def together(builder: Builder, operands: Sequence[View | Array], free: int | None = None) -> Together:
    """Operands of an element-wise operator, brought to one layout.

    Args:
        builder: adds the nodes.
        operands: views and constants; shapes broadcast from the right.
        free: an axis, counted from the front, along which extents may differ (for a concatenation).

    Raises:
        Decline: sequences on different axes, or axes that are made up of different parts.
    """
    rank = max(x.rank if isinstance(x, View) else x.ndim for x in operands)
    raised = [_raised(x, rank) for x in operands]
    views = [x for x in raised if isinstance(x, View)]
    if len({v.batch for v in views}) != 1:
        raise Decline("its operands have their sequences on different axes")
    raised = _merged(builder, raised)
    parts = _common_parts(raised, free)
    shared = [_laid_out(builder, x, parts, free) if isinstance(x, View) else _spread(x, parts) for x in raised]
    axes = tuple(tuple(i for i, p in enumerate(parts) if p.axis == axis) for axis in range(rank))
    ordered = tuple(tuple(sorted(g, key=lambda i: parts[i].number)) for g in axes)
    return Together(shared, ordered)


def _merged(builder: Builder, operands: Sequence[View | Array]) -> list[View | Array]:
    """Operands in which an axis that they split differently is one axis of the node."""
    made = list(operands)
    views = [x for x in made if isinstance(x, View)]
    for axis in range(views[0].rank):
        ways = {_extents(v, axis) for v in views} - {()}
        if len(ways) > 1 and len({math.prod(way) for way in ways}) == 1 and axis != views[0].batch:
            made = [single(builder, x, axis)[0] if isinstance(x, View) else x for x in made]
            views = [x for x in made if isinstance(x, View)]
    return made


def _raised(x: View | Array, rank: int) -> View | Array:
    """An operand with axes of one element in front."""
    if isinstance(x, View):
        return replace(x, axes=((),) * (rank - x.rank) + x.axes)
    return x.reshape((1,) * (rank - x.ndim) + x.shape)


def _extents(view: View, axis: int) -> tuple[int, ...]:
    """Elements along the parts of an axis of the tensor; 0 for the sequences."""
    sizes = (0 if a == 0 else view.node.type.extent(a) for a in view.axes[axis])
    return tuple(n for n in sizes if n != 1)


def _common_parts(operands: Sequence[View | Array], free: int | None) -> list[_Part]:
    """The node axes that all operands share, in the order of the largest operand that has them."""
    views = sorted((x for x in operands if isinstance(x, View)), key=lambda v: -v.node.type.row_size)
    rank = views[0].rank
    made_of: list[tuple[int, ...]] = []
    for axis in range(rank):
        ways = {_extents(v, axis) for v in views} - {()}
        wide = {x.shape[axis] for x in operands if not isinstance(x, View)} - {1}
        if not ways and wide:
            ways = {(max(wide),)}
        if axis == free:
            ways = {(next((v.extent(axis) for v in views), 1),)}
        if len(ways) > 1:
            raise Decline("its operands have an axis that is made up of different parts")
        made_of.append(next(iter(ways), ()))
    placed: dict[tuple[int, int], None] = {}
    for view in views:
        named = {}
        for axis, group in enumerate(view.axes):
            kept = group if axis == free else [a for a in group if a == 0 or view.node.type.extent(a) != 1]
            named.update({a: (axis, number) for number, a in enumerate(kept)})
        placed.update(dict.fromkeys(named[a] for a in sorted(named)))
    placed.update(dict.fromkeys((axis, n) for axis, sizes in enumerate(made_of) for n in range(len(sizes))))
    return [_Part(axis, n, made_of[axis][n]) for axis, n in placed]


def _laid_out(builder: Builder, view: View, parts: Sequence[_Part], free: int | None) -> Node:
    """The node of a view with the shared axes; those it lacks have one element."""
    found: dict[tuple[int, int], int] = {}
    for axis, group in enumerate(view.axes):
        kept = group if axis == free else [a for a in group if a == 0 or view.node.type.extent(a) != 1]
        found.update({(axis, number): a for number, a in enumerate(kept)})
    order = [found[p.axis, p.number] for p in parts if (p.axis, p.number) in found]
    spare = [a for a in range(view.node.type.rank) if a not in order]
    moved = permuted_node(builder, view.node, [*order, *spare])
    own = [p for p in parts if (p.axis, p.number) in found]
    sizes = {p: moved.type.extent(i) for i, p in enumerate(own) if i}
    return reshaped_node(builder, moved, [sizes.get(p, 1) for p in parts[1:]])


def _spread(x: Array, parts: Sequence[_Part]) -> Any:
    """A constant laid out on the shared axes without the batch; a single element becomes a scalar."""
    if x.size == 1:
        return x.reshape(()) if x.dtype.kind in "iu" else x.reshape(()).item()
    own = sorted(range(len(parts)), key=lambda i: (parts[i].axis, parts[i].number))
    if any(x.shape[parts[i].axis] != 1 for i in own if parts[i].extent == 0):
        raise Decline("a constant that differs from sequence to sequence")
    sizes = [1 if x.shape[parts[i].axis] == 1 else parts[i].extent for i in own]
    return x.reshape(sizes).transpose(np.argsort(own)).reshape([sizes[own.index(i)] for i in range(1, len(parts))])


# Reshapes


def reshaped(builder: Builder, view: View, shapes: Sequence[Sequence[int]], sequences: Sequence[int]) -> View:
    """The tensor in another shape, its elements in the same order.

    Axes of the node are split where the shape asks for it, and moved only where that is not enough.

    Args:
        builder: adds the nodes.
        view: the tensor.
        shapes: the new shape, for each of two numbers of sequences.
        sequences: the two numbers.

    Raises:
        Decline: a shape that mixes sequences.
    """
    order = [a for group in view.axes for a in group]
    place = order.index(0)
    before, behind = order[:place], order[place + 1 :]
    carrier, first, last = _batch_axis([view.node.type.extent(a) for a in before], shapes, sequences)
    target = list(shapes[0])
    front, back = [*target[:carrier], first], [last, *target[carrier + 1 :]]
    refined = [_refined([view.node.type.extent(a) for a in src], dst) for src, dst in ((before, front), (behind, back))]
    cuts = [cut for cut in refined if cut is not None]
    if len(cuts) < 2:
        moved = permuted_node(builder, view.node, [0, *before, *behind])
        node = reshaped_node(builder, moved, [*front, *back])
        groups: list[tuple[int, ...]] = [(i,) for i in range(1, node.type.rank)]
    else:
        node, groups = _split(builder, view.node, (before, behind), cuts)
    inner, outer = groups[: len(front)], groups[len(front) :]
    return View(node, (*inner[:-1], (*inner[-1], 0, *outer[0]), *outer[1:]))


def _split(
    builder: Builder, node: Node, sources: Sequence[Sequence[int]], cuts: Sequence[_Cut]
) -> tuple[Node, list[tuple[int, ...]]]:
    """The node with axes split at the boundaries of a new shape, and the node axes of each axis of that shape."""
    factors = {a: sizes for src, cut in zip(sources, cuts, strict=True) for a, sizes in zip(src, cut[0], strict=True)}
    axes = range(1, node.type.rank)
    names = [(a, i) for a in axes for i in range(len(factors[a]))]
    number = dict(zip(names, count(1), strict=False))
    groups = []
    for src, cut in zip(sources, cuts, strict=True):
        parts = [(a, i) for a in src for i in range(len(factors[a]))]
        groups += [tuple(number[parts[i]] for i in group) for group in cut[1]]
    return reshaped_node(builder, node, [n for a in axes for n in factors[a]]), groups


def _batch_axis(
    before: Sequence[int], shapes: Sequence[Sequence[int]], sequences: Sequence[int]
) -> tuple[int, int, int]:
    """The axis of a new shape that holds the sequences, and how many of its elements vary more slowly, and faster."""
    one, two = (list(shape) for shape in shapes)
    differing = [i for i, (m, n) in enumerate(zip(one, two, strict=False)) if m != n]
    if len(one) != len(two) or len(differing) != 1:
        raise Decline("a reshape that mixes sequences, or fixes their number")
    (carrier,) = differing
    share, rest = divmod(one[carrier], sequences[0])
    slower, left = divmod(math.prod(before), math.prod(one[:carrier]))
    if rest or two[carrier] != share * sequences[1] or left or not slower or share % slower:
        raise Decline("a reshape that mixes sequences, or fixes their number")
    return carrier, slower, share // slower


_Cut = tuple[list[list[int]], list[list[int]]]


def _refined(source: Sequence[int], target: Sequence[int]) -> _Cut | None:
    """Common factors of two shapes: their sizes by source axis, their numbers by target axis; None: there are none."""
    if math.prod(source) != math.prod(target):
        return None
    ends = sorted({*_ends(source), *_ends(target)} - {1})
    sizes, last = [], 1
    for end in ends:
        if end % last:
            return None
        sizes.append(end // last)
        last = end
    return [[sizes[i] for i in g] for g in _groups(source, ends)], _groups(target, ends)


def _ends(shape: Sequence[int]) -> list[int]:
    """Products of the leading axes."""
    return [math.prod(shape[: i + 1]) for i in range(len(shape))]


def _groups(shape: Sequence[int], ends: Sequence[int]) -> list[list[int]]:
    """For each axis, the numbers of the factors within it; `ends` are the running products of the factors."""
    bounds = [1, *_ends(shape)]
    return [[i for i, end in enumerate(ends) if low < end <= high] for low, high in pairwise(bounds)]
