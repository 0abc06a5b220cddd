"""choose-program: predict the speed-up, and keep to the model itself where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastism_compiler.ir.arithmetic import naive_total
from fastism_compiler.ir.facts import Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.queries import rule_of
from fastism_compiler.ir.tiling import Prediction
from fastism_compiler.passes.base import Context, Kind, Pass
from fastism_compiler.passes.cost.rows import ITEM_BYTES, row_bytes, row_work, stored_work
from fastism_compiler.passes.plan_tiles import SAVED_IN_CACHE, spilled

_FROM_MEMORY = 0.78
"""Part of the bytes of windows that costs the time of memory, where no cache holds a tile (this and the next fitted to
twelve published models and four transformers on 2 cores)."""
_PASSES = 9
"""Times that a whole value is written or read: by its op, a bias, a normalisation, an activation, what reads it."""
_UNFUSED = 3.5
"""What each byte of a window costs without XLA, element-wise steps among them (`benchmarks.predictions --no-xla`)."""


@dataclass(frozen=True)
class ChooseProgramPass(Pass):
    """Predict time per mutation, of the model itself and of the tile, from arithmetic and traffic.

    1. The model: its multiply-adds, and the passes over every result that no
       element-wise op makes.
    2. The tile: the multiply-adds that are left, every stored window written
       and read, the same passes over values recomputed whole, weights read
       anew. Where a core's cache holds the tile, its traffic costs less.
    3. Where the ratio is below `break_even`, the program is naive: each mutant
       is scored whole by the model. A sparse program never is: it has windows to return.
    """

    name: ClassVar[str] = "choose-program"
    kind: ClassVar[Kind] = Kind.ANALYSIS
    requires: ClassVar[tuple[str, ...]] = ("plan-tiles",)

    break_even: float = 1.05

    def run(self, graph: Graph, context: Context) -> None:
        changed = any(n.changes for n in graph.outputs)
        speed_up = naive_cost(graph, context) / tile_cost(graph, context) if changed else float("inf")
        graph.prediction = Prediction(speed_up, naive=speed_up < self.break_even and not context.sparse)


def naive_cost(graph: Graph, context: Context) -> float:
    """One forward pass of one sequence, in multiply-adds."""
    return naive_total(graph) + _memory_cost(_PASSES * _written(graph), context)


def reference_cost(graph: Graph, context: Context) -> float:
    """One reference pass of one sequence, in multiply-adds; it is compiled, so results are written once."""
    return naive_total(graph) + _memory_cost(_written(graph), context)


def row_cost(graph: Graph, context: Context) -> float:
    """One row of a tile, in multiply-adds: windows as they are stored, and values recomputed whole."""
    nodes = graph.nodes(Section.TILE)
    work = max(sum(stored_work(n) for n in nodes), row_work(graph, context.ranges.count))
    moved = sum(_moved(n, context) for n in nodes)
    saved = SAVED_IN_CACHE * context.machine.per_byte * moved * _near(graph, context)
    return work + _memory_cost(moved, context) - saved


def _near(graph: Graph, context: Context) -> float:
    """Part of a tile that a core's cache holds."""
    tiling = graph.tiling
    if tiling is None or context.core_cache is None:
        return 0.0
    return 1 - spilled(tiling.rows(context.batch_size) * tiling.row_bytes, [context.core_cache])


def tile_cost(graph: Graph, context: Context) -> float:
    """One mutation, in multiply-adds, with its share of the weights that its tile reads and of the reference pass."""
    weights = sum(_weights(n) for n in graph.nodes(Section.TILE))
    rows = graph.tiling.rows(context.batch_size) if graph.tiling else 1
    shared = _memory_cost(ITEM_BYTES * weights / rows, context) + reference_cost(graph, context) / context.ranges.count
    return row_cost(graph, context) + shared


def _memory_cost(moved: float, context: Context) -> float:
    """Bytes of results, in the multiply-adds of the same time."""
    return _FROM_MEMORY * context.machine.per_byte * moved


def _written(graph: Graph) -> int:
    """Bytes of the model's results that some mutation changes; element-wise ops are passes over others."""
    changing = [n for n in graph.nodes(Section.REFERENCE) if n.changes]
    return sum(ITEM_BYTES * n.type.row_size for n in changing if not rule_of(n).elementwise)


def _moved(node: Node, context: Context) -> float:
    """Bytes of a row that one step of a tile reads and writes."""
    fused = node.has_window or rule_of(node).tile
    if fused and not context.jit:
        return _UNFUSED * row_bytes(node)
    if rule_of(node).elementwise:
        return 0
    return row_bytes(node) if fused else _PASSES * ITEM_BYTES * node.type.row_size


def _weights(node: Node) -> int:
    """Parameters that one tile reads for a node."""
    return sum(o.type.row_size for o in node.operands if o.section is Section.REFERENCE and not o.type.batched)
