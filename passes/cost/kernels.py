"""What one row of a contraction costs with each kernel: one formula, over what the kernels declare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from fastism_compiler.ir.kernels import KERNELS, KernelShape
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.queries import geometry_of, kernels_for
from fastism_compiler.passes.base import Candidate, Context
from fastism_compiler.passes.cost.rows import ITEM_BYTES


def candidate_for(node: Node, kernel: str, context: Context) -> Candidate:
    """`kernel` for a contraction, at the shape that its windows give it."""
    spec, geometry = KERNELS[kernel], geometry_of(node)
    reach = (geometry.taps - 1) * geometry.dilation
    if spec.reads_only_changes:
        out_width = max(node.window.ranges.max_width, 1)
        width = out_width + reach
    else:
        width = max(node.operands[0].window.ranges.max_width, 1)
        out_width = (width - 1) * geometry.stride + 1 + reach
    sizes = geometry.taps, geometry.channels, geometry.filters, geometry.dilation, geometry.stride
    alone = KernelShape(1, width, out_width, *sizes)
    size = ITEM_BYTES * (width * alone.channels + out_width * alone.filters + spec.scratch(alone))
    most = (context.shared_cache or context.tile_bytes) // size
    return Candidate(kernel, replace(alone, rows=int(np.clip(most, 1, context.machine.tile_rows))))


def cheapest(candidates: Sequence[Candidate], context: Context) -> Candidate:
    """The candidate with the lowest predicted cost, or the shortest time for a row if there is a stopwatch."""
    costs = {c: predicted_cost(c, context) for c in candidates}
    measure = context.measure
    if measure is None:
        return min(costs, key=lambda c: costs[c])
    hopeful = [c for c, cost in costs.items() if cost <= context.cost.hopeless * min(costs.values())]
    return hopeful[0] if len(hopeful) == 1 else min(hopeful, key=lambda c: measure(c) / c.shape.rows)


def contraction_cost(node: Node, context: Context) -> float:
    """Cost per row of a contraction with its best kernel, in multiply-adds.

    Includes writing and reading its windows, as far as they change.
    """
    best = min(predicted_cost(candidate_for(node, name, context), context) for name in kernels_for(node))
    geometry, widths = geometry_of(node), [n.window.ranges.max_width for n in (node.operands[0], node)]
    windows = widths[0] * geometry.channels + widths[1] * geometry.filters
    return best + context.cost.from_memory * context.machine.per_byte * ITEM_BYTES * windows


def composing_cost(node: Node, context: Context) -> float:
    """What making one kernel of two costs, once a block, in multiply-adds.

    The second kernel is read once for each tap of the first; the result is written tap by tap.
    """
    first, second = (kernel.type for kernel in node.operands)
    moved = node.type.row_size + first.extent(0) * second.row_size
    work = first.row_size * second.extent(0) * second.extent(2)
    return work + context.machine.per_byte * ITEM_BYTES * moved + context.machine.per_start * node.type.extent(0)


def predicted_cost(candidate: Candidate, context: Context) -> float:
    """Cost per row, in multiply-adds; infinite where the kernel does not apply."""
    spec, shape, machine = KERNELS[candidate.kernel], candidate.shape, context.machine
    if not spec.applies(shape, context.precision):
        return float("inf")
    return (
        spec.slowdown * spec.multiply_adds(shape)
        + _fused(spec.moved(shape), context)
        + spec.starts * machine.per_start / shape.rows
        + spec.arranging * spec.arranged(shape) / context.batch_size
    )


def _fused(elements: float, context: Context) -> float:
    """Cost of moving elements in loops that XLA fuses, or would fuse, in multiply-adds."""
    factor = context.cost.moved_fused if context.jit else context.cost.moved_unfused
    return factor * context.machine.per_byte * ITEM_BYTES * elements
