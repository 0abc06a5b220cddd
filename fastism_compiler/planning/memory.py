"""Memory: what a program will need, and the block size that fits a budget."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fastism_compiler.errors import MemoryBudgetError
from fastism_compiler.frontend.selection import Packer
from fastism_compiler.host.hardware import free_memory, gpu_memory
from fastism_compiler.ir import Graph, Kept, Section
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.ops import COMPOSER_OPS
from fastism_compiler.ir.queries import kernel_of, rule_of, weights_of
from fastism_compiler.passes.cost.machine import Machine
from fastism_compiler.passes.cost.model import FITTED
from fastism_compiler.passes.cost.rows import kernel_shape
from fastism_compiler.runtime.engine import Engine

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_LARGEST_BUDGET = 1 << 60
_SHARE_OF_FREE = 0.5
_SHARE_OF_RESULTS = 0.25
_SHARE_OF_WHOLE = 0.5
_TILE_PARTS = 4


@dataclass(frozen=True, slots=True)
class Budget:
    """How much memory a block may take.

    Attributes:
        bytes: what to plan for.
        most: what may be taken where less is not enough: all that is free, if the user has set no budget.
        given: the user has set it.
    """

    bytes: int
    most: int
    given: bool

    @staticmethod
    def of(option: float | str | None, devices: Sequence[int] = ()) -> Budget:
        """From the option of `compile`, and the memory of devices (see `parse_budget`)."""
        size = parse_budget(option, devices)
        return Budget(size, size if option is not None else int(size / _SHARE_OF_FREE), option is not None)


def parse_budget(budget: float | str | None, devices: Sequence[int] = ()) -> int:
    """Bytes from a number, a string such as `"2GiB"`, or None for half of what is free (of a GPU's, if that is less).

    Args:
        budget: the option of `compile`.
        devices: bytes of each device that is no device of TensorFlow's.

    Raises:
        OptionError: a text that is no size, or a size that is not positive and finite.
    """
    if budget is None:
        return int(_SHARE_OF_FREE * min([free_memory(), *gpu_memory(), *devices]))
    if isinstance(budget, str):
        match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([a-zA-Z]*)\s*", budget)
        if not match or match[2].lower() not in _UNITS:
            raise OptionError("memory_budget must be a size", expected='bytes, or such as "2GiB"', got=repr(budget))
        budget = float(match[1]) * _UNITS[match[2].lower()]
    number = isinstance(budget, int | float | np.number) and not isinstance(budget, bool)
    if not number or not 1 <= budget < _LARGEST_BUDGET:
        raise OptionError(
            "memory_budget is a positive number of bytes, or a text", expected='such as "2GiB"', got=budget
        )
    return int(budget)


def predict_bytes(engine: Engine, selection: Packer, sequences: int, naive_rows: int) -> int:
    """Peak bytes of one block, weights not counted: tables, tiles or the reference pass before them, results twice.

    Args:
        engine: what runs.
        selection: what of the outputs is returned.
        sequences: sequences of the block.
        naive_rows: whole mutants per call of the model itself.
    """
    graph, tiling = engine.graph, engine.tiling
    if engine.naive:
        mutants = sequences * engine.ranges.count
        whole = FITTED.live_buffers * naive_rows * _largest(graph)
        return whole + 2 * min(mutants, engine.most_rows) * result_bytes(selection) + 8 * mutants
    size = tiling.rows(sequences)
    # the widest step: XLA reuses the buffers of all others
    tile = max(size * tiling.row_bytes, _kernel_slice_bytes(graph))
    tables = sequences * _table_bytes(graph) + _arranged_bytes(graph) + _composed_bytes(graph)
    rows = tiling.tiles(sequences) * size
    results = 2 * min(rows, engine.most_rows) * result_bytes(selection)
    jobs = rows * engine.ranges.max_width * engine.letters.columns * 4
    return tables + max(engine.lanes * tile, sequences * _passing_bytes(graph)) + results + jobs


def _kernel_slice_bytes(graph: Graph) -> int:
    """Bytes of the largest slice of a dense kernel that a tile reads at once: XLA copies it before the product."""
    sizes = [0]
    for node in graph.nodes(Section.TILE):
        spec, weights = kernel_of(node), weights_of(node)
        if spec is not None and spec.contracts_positions and weights is not None:
            carrier = node.operands[0].carrier
            cut_out = 0 if carrier.spans(weights.type.extent(0)) else carrier.width // node.facts.parts
            sizes.append(cut_out * weights.type.extent(1) * np.dtype(weights.type.dtype).itemsize)
    return max(sizes)


def _arranged_bytes(graph: Graph) -> int:
    """Bytes of the weights as arranged for kernels."""
    total = 0
    for node in graph.nodes(Section.TILE):
        spec = kernel_of(node)
        if spec is not None:
            total += spec.arranged(kernel_shape(node)) * np.dtype(node.type.dtype).itemsize
    return total


def _composed_bytes(graph: Graph) -> int:
    """Kernels made of several: their taps, and the stack of these."""
    return sum(2 * _row_bytes(n) for n in graph.nodes(Section.REFERENCE) if n.op in COMPOSER_OPS)


def _table_bytes(graph: Graph) -> int:
    """Bytes kept of one sequence's reference values, and of their running aggregates from either end."""
    values = sum(_kept_bytes(n, n.facts.kept) for n in _tables(graph))
    aggregates = [n for n in graph.nodes(Section.TILE) if rule_of(n).runs_on]
    return values + sum(2 * _kept_bytes(n.operands[1], n.facts.kept) for n in aggregates)


def _passing_bytes(graph: Graph) -> int:
    """Bytes of one sequence's reference values that are freed before the first tile.

    XLA writes tables that are element-wise functions of products (bias, then
    activation) when the whole chain is done; until then the products stay in
    memory. It cuts the kept part of a table out of a copy.
    """
    batched = [n for n in graph.nodes(Section.REFERENCE) if n.type.batched]
    copied = max((_row_bytes(n) for n in batched if n.facts.kept is not None), default=0)
    return max(_alive_at_once(batched) + copied, sum(map(_row_bytes, _waiting_products(graph))))


def _alive_at_once(nodes: Sequence[Node]) -> int:
    """The most bytes that values of one sequence take at once, each from its computation to its last use."""
    place = {n: i for i, n in enumerate(nodes)}
    last = {n: max((place[u] for u in n.users if u in place), default=i) for n, i in place.items()}
    most = alive = 0
    ending: dict[int, int] = {}
    for node, i in place.items():
        alive += _row_bytes(node)
        most = max(most, alive)
        ending[last[node]] = ending.get(last[node], 0) + _row_bytes(node)
        alive -= ending.pop(i, 0)
    return most


def _tables(graph: Graph) -> list[Node]:
    """Reference values that tiles read."""
    nodes = graph.nodes(Section.REFERENCE)
    return [n for n in nodes if n.type.batched and any(u.in_tile and not rule_of(u).runs_on for u in n.users)]


def _waiting_products(graph: Graph) -> list[Node]:
    """The products that tables are computed from element by element, and that are no tables themselves."""
    tables = {n.id for n in _tables(graph)}
    reached = set(tables)
    waiting = []
    for node in reversed(graph.nodes(Section.REFERENCE)):  # users come after what they use
        if node.id not in reached:
            continue
        if rule_of(node).elementwise:
            reached.update(o.id for o in node.operands if o.type.batched)
        elif rule_of(node).contraction and node.id not in tables:
            waiting.append(node)
    return waiting


def _row_bytes(node: Node) -> int:
    """Bytes of a value, per sequence."""
    return node.type.row_size * np.dtype(node.type.dtype).itemsize


def _kept_bytes(node: Node, kept: Kept | None) -> int:
    """Bytes of the kept part of a value, per sequence."""
    return _row_bytes(node) if kept is None else _row_bytes(node) // node.type.extent(kept.axis) * kept.extent


def bytes_within(engine: Engine, selection: Packer, sequences: int, budget: int) -> int:
    """`predict_bytes`, with as many whole mutants per call as the budget allows."""
    rows = naive_rows(engine.graph, budget, engine.context.machine)
    return predict_bytes(engine, selection, sequences, rows)


def rows_within(selection: Packer, budget: int) -> int:
    """Rows whose results, held twice, take their share of the budget (at least one)."""
    return max(int(_SHARE_OF_RESULTS * budget) // max(2 * result_bytes(selection), 1), 1)


def tile_bytes(budget: int, lanes: int, machine: Machine) -> int:
    """Bytes that the widest step of a lane's tile should stay below: the machine limit, or a share of the budget."""
    return min(machine.tile_bytes, max(budget // (_TILE_PARTS * lanes), 1))


def naive_rows(graph: Graph, budget: int, machine: Machine) -> int:
    """Whole mutants per call of the model itself that fit `budget` bytes, and that the machine has use for."""
    share = int(_SHARE_OF_WHOLE * budget)
    return int(np.clip(share // (FITTED.live_buffers * _largest(graph)), 1, machine.whole_rows))


def _largest(graph: Graph) -> int:
    """Bytes of the model's largest value, per sequence."""
    return max((_row_bytes(n) for n in graph.nodes(Section.REFERENCE) if n.type.batched), default=1)


def check_result_fits(
    selection: Packer,
    results: int,
    advice: str = "program.stream(...) yields it in blocks, and outputs=, reduce= or sparse=True make it smaller",
) -> None:
    """Check that a call's results fit into the memory that is free.

    Args:
        selection: which outputs.
        results: how many results of one mutant each.
        advice: what to do where they do not fit.

    Raises:
        MemoryBudgetError: they do not; they can be streamed, selected or reduced.
    """
    need, free = results * result_bytes(selection), free_memory()
    if need > free:
        raise MemoryBudgetError(
            f"the result of this call does not fit into memory; {advice}",
            expected=f"at most {free / (1 << 30):.1f} GiB",
            got=f"{results} results of {result_bytes(selection)} bytes: {need / (1 << 30):.1f} GiB",
        )


def result_bytes(selection: Packer) -> int:
    """Bytes of one mutant's results."""
    return sum(np.asarray(y).nbytes for y in selection.samples)


def choose_batch_size(engines_for: Callable[[int], Sequence[Engine]], selection: Packer, most: int, budget: int) -> int:
    """The largest power of two up to `most` whose predicted memory fits `budget`.

    Args:
        engines_for: makes the engines planned for blocks of this many sequences.
        selection: what of the outputs is returned.
        most: most sequences per block.
        budget: bytes.

    Raises:
        MemoryBudgetError: not even one sequence fits.
    """
    size = 1 << (most.bit_length() - 1)
    while True:
        need = max(bytes_within(e, selection, size, budget) for e in engines_for(size))
        if need <= budget:
            return size
        if size == 1:
            raise MemoryBudgetError(
                "the memory budget is below the smallest working set",
                expected=f"at least {need} bytes ({need / (1 << 20):.0f} MiB)",
                got=f"{budget} bytes",
            )
        size //= 2
