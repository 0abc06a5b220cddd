"""What one row of a contraction costs with each kernel: one formula, over what the kernels declare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from fastism_compiler.ir.kernels import KERNELS, KernelShape
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.queries import geometry_of
from fastism_compiler.passes.base import Candidate, Context
from fastism_compiler.passes.cost.rows import ITEM_BYTES


def candidate_for(node: Node, kernel: str, context: Context) -> Candidate:
    """What running a contraction's windows with `kernel` would mean."""
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
    """Multiply-adds in the time that so many elements take in loops that XLA fuses, or would fuse."""
    factor = context.cost.moved_fused if context.jit else context.cost.moved_unfused
    return factor * context.machine.per_byte * ITEM_BYTES * elements
