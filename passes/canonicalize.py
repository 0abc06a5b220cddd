"""canonicalize: one way to write each thing, before anything is analysed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from fastism_compiler.ir.checks import is_no_macro
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.ops.rule import Moves
from fastism_compiler.ir.queries import effect_on
from fastism_compiler.ir.verifier import StageSpec
from fastism_compiler.passes.base import Context, Kind, Pass
from fastism_compiler.passes.classify_layers import is_stopped


@dataclass(frozen=True)
class CanonicalizePass(Pass):
    """Expand macro ops, drop what does nothing, delete dead code.

    1. `identity(x)` becomes `x`, unless its layer is a stop. Slices, pads, casts, reshapes and broadcasts that keep the
       type are dropped.
    2. `batch_norm(x, ...)` becomes `x * scale + shift`, both computed from parameters.
    3. `separable_conv(x, d, p)` becomes `conv(depthwise_conv(x, d), p)`.
    4. `transpose(transpose(x))` becomes one transpose, or nothing.
    5. `reduce_sum(x * softmax(s))` over one axis becomes `softmax_pool(concat(x, s))`, which has a window rule.
    6. Nodes that no output depends on are deleted. Inputs stay.
    """

    name: ClassVar[str] = "canonicalize"
    kind: ClassVar[Kind] = Kind.TRANSFORM
    ensures: ClassVar[StageSpec] = StageSpec(reference=(is_no_macro,))
    invalidates: ClassVar[tuple[str, ...]] = ("classify-layers", "demand", "propagate-ranges", "segment")

    def run(self, graph: Graph, context: Context) -> None:
        for node in graph.nodes():
            rewrite = _REWRITES.get(node.op)
            new = rewrite(graph, node, context) if rewrite else None
            if new is not None:
                graph.replace(node, new)
                graph.remove(node)
        graph.prune()


Rewrite = Callable[[Graph, Node, Context], Node | None]
"""What takes the place of a node; None leaves it as it is."""


def _drop_unless_stopped(graph: Graph, node: Node, context: Context) -> Node | None:
    """A layer that does nothing stays where `stop_at` names it."""
    return None if is_stopped(node, context.stop_at) else node.operands[0]


def _drop_if_same_type(graph: Graph, node: Node, context: Context) -> Node | None:
    (operand,) = node.operands
    return operand if operand.type == node.type and not is_stopped(node, context.stop_at) else None


def _expand_batch_norm(graph: Graph, node: Node, context: Context) -> Node:
    """Keras: `x * inv + (beta - mean * inv)`, `inv = gamma * rsqrt(variance + epsilon)`."""
    value, mean, variance, *rest = node.operands
    gamma = rest.pop(0) if node.attrs["scale"] else None
    beta = rest.pop(0) if node.attrs["center"] else None

    def add(op: str, *operands: Node, **attrs: object) -> Node:
        return graph.add(op, operands, attrs, layer=node.layer)

    epsilon = add("literal", value=node.attrs["epsilon"], dtype=variance.type.dtype)
    scale = add("rsqrt", add("add", variance, epsilon))
    scale = add("multiply", scale, gamma) if gamma else scale
    shift = add("negative", add("multiply", mean, scale))
    shift = add("add", beta, shift) if beta else shift
    trailing = value.type.rank - 1 - node.attrs["axis"]
    if trailing:
        shape = (mean.type.extent(0), *[1] * trailing)
        scale, shift = (add("reshape", constant, shape=shape) for constant in (scale, shift))
    return add("add", add("multiply", value, scale), shift)


def _expand_separable(graph: Graph, node: Node, context: Context) -> Node:
    value, depthwise, pointwise = node.operands
    middle = graph.add("depthwise_conv", (value, depthwise), node.attrs, layer=node.layer)
    attrs = {"stride": 1, "dilation": 1, "groups": 1, "pad": (0, 0)}
    return graph.add("conv", (middle, pointwise), attrs, layer=node.layer)


def _merge_transposes(graph: Graph, node: Node, context: Context) -> Node | None:
    (inner,) = node.operands
    perm = node.attrs["perm"]
    if is_stopped(node, context.stop_at) or is_stopped(inner, context.stop_at):
        return None
    if inner.op == node.op:
        (source,) = inner.operands
        perm = tuple(inner.attrs["perm"][i] for i in perm)
        if perm == tuple(range(len(perm))):
            return source
        return graph.add(node.op, (source,), {"perm": perm}, layer=node.layer)
    return inner if perm == tuple(range(len(perm))) else None


def _position_axes(graph: Graph) -> dict[Node, int]:
    """The axis of the sequence's positions, for every value that still has one."""
    axes = {graph.sequence: 1} if graph.sequence is not None else {}
    for node in graph.nodes():
        for number, operand in enumerate(node.operands):
            if operand in axes:
                effect = effect_on(node, number, axes[operand])
                if isinstance(effect, Moves):
                    axes[node] = effect.axis
    return axes


def _pool_by_softmax(graph: Graph, node: Node, context: Context) -> Node | None:
    """A sum of values weighted by a softmax over the axis that is summed: attention pooling."""
    (product,) = node.operands
    if product.op != "multiply" or len(node.attrs["axes"]) != 1 or is_stopped(node, context.stop_at):
        return None
    (axis,) = node.attrs["axes"]
    if _position_axes(graph).get(product) != axis:
        return None  # a sum over another axis runs on windows already
    for weights, values in (product.operands, product.operands[::-1]):
        if weights.op != "softmax" or weights.attrs["axes"] != node.attrs["axes"]:
            continue
        if is_stopped(product, context.stop_at) or is_stopped(weights, context.stop_at):
            continue  # merging would remove the layer that is a stop
        (scores,) = weights.operands
        last = values.type.rank - 1
        alike = scores.type.rank == values.type.rank and scores.type.shape[:-1] == values.type.shape[:-1]
        if alike and axis != last and scores.type.extent(last) in (1, values.type.extent(last)):
            split = values.type.extent(last)
            both = graph.add("concat", (values, scores), {"axis": last}, layer=node.layer)
            attrs = {"axis": axis, "split": split, "keepdims": node.attrs["keepdims"]}
            return graph.add("softmax_pool", (both,), attrs, layer=node.layer)
    return None


_REWRITES: dict[str, Rewrite] = {
    "identity": _drop_unless_stopped,
    "batch_norm": _expand_batch_norm,
    "separable_conv": _expand_separable,
    "reduce_sum": _pool_by_softmax,
    "transpose": _merge_transposes,
    "slice": _drop_if_same_type,
    "pad": _drop_if_same_type,
    "cast": _drop_if_same_type,
    "reshape": _drop_if_same_type,
    "broadcast": _drop_if_same_type,
}
