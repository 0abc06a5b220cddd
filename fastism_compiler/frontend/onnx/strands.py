"""Several tensors concatenated on the axis of the sequences: usually both strands of each sequence.

`torch.cat([x, reverse_complement(x)], dim=0)` doubles the sequences. In the
node, strands are an axis of their own after the sequences. An operator
without a rule for such a tensor is applied to each strand by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from fastism_compiler.frontend.builder import Builder, Decline
from fastism_compiler.frontend.counts import SEQUENCES
from fastism_compiler.frontend.onnx.call import Call, Value
from fastism_compiler.frontend.onnx.views import View, reshaped_node, together
from fastism_compiler.ir import Node

_MOST = 8
"""Maximum number of strands that an operator is applied to one by one."""


def joined(builder: Builder, views: Sequence[View]) -> View:
    """Tensors of the same shape, concatenated on the axis of the sequences.

    Raises:
        Decline: a tensor that holds several strands already.
    """
    axis = views[0].batch
    laid = together(builder, views)
    if laid.axes[axis] != (0,) or any(v.axes[v.batch] != (0,) for v in views):
        raise Decline("a concatenation of sequences that were concatenated before")
    nodes = [reshaped_node(builder, n, [1, *_sizes(n)]) for n in laid.operands]
    moved = tuple(tuple(a + 1 for a in g) if i != axis else (1, 0) for i, g in enumerate(laid.axes))
    return View(builder.add("concat", *nodes, axis=1), moved)


def cut(builder: Builder, view: View, bounds: Sequence[tuple[int, int]]) -> View:
    """Some of the strands.

    Args:
        builder: adds the nodes.
        view: the tensor, its strands varying more slowly than its sequences.
        bounds: begin and end along the axis of the sequences, for each of the two numbers of sequences.

    Raises:
        Decline: bounds within a strand.
    """
    axis = view.batch
    places = {divmod(bound, n) for pair, n in zip(bounds, SEQUENCES, strict=True) for bound in pair}
    if len(view.axes[axis]) != 2 or view.axes[axis][1] != 0 or len(places) != 2 or any(rest for _, rest in places):
        raise Decline("a choice of some sequences")
    (begin, _), (end, _) = sorted(places)
    inner = view.axes[axis][0]
    node = builder.add("slice", view.node, axis=inner, begin=begin, end=end)
    return _without(builder, view.over(node), axis, inner) if end - begin == 1 else view.over(node)


def _without(builder: Builder, view: View, axis: int, inner: int) -> View:
    """The tensor without the axis of its one strand."""
    sizes = [n for a, n in enumerate(_sizes(view.node), 1) if a != inner]
    axes = [tuple(a - (a > inner) for a in group if a != inner) for group in view.axes]
    return View(reshaped_node(builder, view.node, sizes), tuple(axes))


def _sizes(node: Node) -> list[int]:
    return [node.type.extent(a) for a in range(1, node.type.rank)]


def each(call: Call, rule: Callable[[Call], Value]) -> list[Value] | None:
    """Apply a rule to each strand, and concatenate the results; None where no operand has several strands."""
    views = [x for x in call.operands if isinstance(x, View)]
    count = max((_strands(x) for x in views), default=1)
    if count == 1:
        return None
    if count > _MOST or any(_strands(x) != count for x in views):
        raise Decline(f"{count} strands, or operands with different numbers of strands")
    made = []
    for number in range(count):
        own = [_strand(call.builder, x, number) if isinstance(x, View) else x for x in call.operands]
        results = rule(replace(call, operands=own))
        made.append(results if isinstance(results, list) else [results])
    return [
        joined(call.builder, parts) if isinstance(parts[0], View) else parts[0] for parts in zip(*made, strict=True)
    ]


def _strands(view: View) -> int:
    """How many strands lie in front of the sequences."""
    group = view.axes[view.batch]
    return view.node.type.extent(group[0]) if len(group) == 2 and group[1] == 0 else 1


def _strand(builder: Builder, view: View, number: int) -> View:
    return cut(builder, view, [(number * n, (number + 1) * n) for n in SEQUENCES])
