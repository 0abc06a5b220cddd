"""compose-convolutions: two linear convolutions in a row run as one, where that costs less."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from fastism_compiler.ir.checks import no_edge_comes_between
from fastism_compiler.ir.composition import composed_dilation, cut_by_edges
from fastism_compiler.ir.facts import Facts, Form, LayerClass, Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.kernels import Contraction
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.queries import geometry_of, map_of, rule_of
from fastism_compiler.ir.ranges import Constant
from fastism_compiler.ir.verifier import StageSpec
from fastism_compiler.passes.base import Context, Kind, Pass
from fastism_compiler.passes.cost.kernels import composing_cost, contraction_cost


@dataclass(frozen=True)
class ComposeConvolutionsPass(Pass):
    """Replace two convolutions of differences in a row by one, with the composed kernel.

        %a = conv(%x, %k1)             %k = compose_kernels(%k1, %k2)    reference
        %b = conv(%a, %k2)      =>     %b = conv(%x, %k)                 tile

    1. Both are on windows, of stride 1 and one group; dilations and padding may differ. Differences have no bias.
    2. No change of any range reaches past an end of `%a` where `%b` reads it: there `%b` reads zeros.
    3. It costs less: the one convolution and a share of composing the kernels, against `%b`, and `%a` if nothing else
       reads it, each with its best kernel. Kernels are composed once a block; since a block may be one sequence, the
       rows of one sequence share that cost.
    4. A longer chain is composed pair by pair, in order. `%a` stays where others read it.

    `least_gain` is what a row must save to be worth it, in multiply-adds.
    """

    name: ClassVar[str] = "compose-convolutions"
    kind: ClassVar[Kind] = Kind.TRANSFORM
    requires: ClassVar[tuple[str, ...]] = ("insert-slice-assign",)
    ensures: ClassVar[StageSpec] = StageSpec(tile=(no_edge_comes_between,))

    least_gain: float = 0.0

    def run(self, graph: Graph, context: Context) -> None:
        for second in graph.nodes(Section.TILE):
            if _is_pair(second) and not _cut(second).any():
                self._compose(graph, second, context)

    def _compose(self, graph: Graph, second: Node, context: Context) -> None:
        """Replace two convolutions by one, if it pays."""
        first = second.operands[0]
        made = _composed(graph, first, second)
        alone = first.users == (second,) and first not in graph.tile_outputs
        before = contraction_cost(second, context) + (contraction_cost(first, context) if alone else 0.0)
        share = composing_cost(made.operands[1], context) / context.ranges.count
        if before - contraction_cost(made, context) - share <= self.least_gain:
            graph.remove(made)
            graph.remove(made.operands[1])
            return
        graph.replace(second, made)
        graph.remove(second)
        if alone:
            graph.remove(first)


def cut_pairs(graph: Graph) -> list[npt.NDArray[np.bool_]]:
    """For every pair of convolutions that some change prevents from being composed: these changes, bool `[R]`."""
    cuts = [_cut(node) for node in graph.nodes(Section.TILE) if _is_pair(node)]
    return [cut for cut in cuts if cut.any()]


def _is_pair(node: Node) -> bool:
    """Whether a node and its operand are convolutions that can be composed, edges apart."""
    return _is_plain(node) and _is_plain(node.operands[0]) and node.operands[0].op == node.op


def _is_plain(node: Node) -> bool:
    """Whether a node is a convolution of differences of stride 1 and one group."""
    composes = node.in_tile and node.facts.form is Form.DELTA and rule_of(node).composes is not None
    return composes and geometry_of(node).kind is Contraction.CONVOLUTION


def _cut(second: Node) -> npt.NDArray[np.bool_]:
    """The change ranges for which an edge forbids composing a convolution with its operand, bool `[R]`."""
    first = second.operands[0]
    maps = map_of(first, 0, first.window.axis), map_of(second, 0, second.window.axis)
    demand = second.facts.demand or (0, second.window.length)
    return cut_by_edges(first.operands[0].window.ranges, *maps, demand)


def _composed(graph: Graph, first: Node, second: Node) -> Node:
    """Add the convolution that computes `second` from the operand of `first`, and its composed kernel."""
    pair, op = (first, second), str(rule_of(second).composes)
    kernels = [n.operands[1] for n in pair]
    dilations, pads = (tuple(n.attrs[name] for n in pair) for name in ("dilation", "pad"))
    attrs: dict[str, Any] = {"dilations": dilations, "pads": pads}
    kernel = graph.add(op, kernels, attrs, layer=second.layer, name=f"{second.name}.kernel")
    kernel.facts = Facts(layer_class=LayerClass.CONSTANT, state=Constant())
    taps = kernels[0].type.extent(0), kernels[1].type.extent(0)
    pad = tuple(sum(sides) for sides in zip(*pads, strict=True))
    attrs = {**second.attrs, "dilation": composed_dilation(taps, (dilations[0], dilations[1])), "pad": pad}
    operands = [first.operands[0], kernel]
    made = graph.add(second.op, operands, attrs, layer=second.layer, section=Section.TILE, name=second.name)
    made.facts = replace(second.facts, ops=first.facts.ops + second.facts.ops)
    return made
