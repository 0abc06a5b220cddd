"""One formula for the cost of a row, over what the kernels declare."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.ir.kernels import KERNELS, KernelShape
from fastism_compiler.passes import Context
from fastism_compiler.passes.base import Candidate
from fastism_compiler.passes.cost.kernels import predicted_cost
from fastism_compiler.passes.cost.model import CostModel

SHAPE = KernelShape(128, 7, 17, 11, 300, 200, 1)
CONTEXT = Context(ChangeRanges.of(None, 1000), batch_size=8)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_row_costs_what_its_kernel_declares(kernel: str) -> None:
    spec, machine = KERNELS[kernel], CONTEXT.machine
    traffic = 4 * CostModel().moved_fused * machine.per_byte * spec.moved(SHAPE)
    waiting = spec.starts * machine.per_start / 128
    arranging = spec.arranging * spec.arranged(SHAPE) / 8
    expected = spec.slowdown * spec.multiply_adds(SHAPE) + traffic + waiting + arranging
    assert predicted_cost(Candidate(kernel, SHAPE), CONTEXT) == pytest.approx(expected, rel=1e-12)


def test_without_xla_and_with_another_cost_model_traffic_costs_more() -> None:
    scatter = Candidate("scatter-gemm", SHAPE)
    dear = replace(CONTEXT, cost=CostModel(moved_fused=10 * CostModel().moved_fused))
    multiply_adds = KERNELS["scatter-gemm"].multiply_adds(SHAPE)
    traffic = predicted_cost(scatter, CONTEXT) - multiply_adds
    assert predicted_cost(scatter, dear) - multiply_adds == pytest.approx(10 * traffic)
    assert predicted_cost(scatter, replace(CONTEXT, jit=False)) > predicted_cost(scatter, CONTEXT)


@pytest.mark.parametrize(("shape", "precision"), [(SHAPE, "tf32"), (replace(SHAPE, width=1, out_width=11), "float32")])
def test_a_kernel_that_does_not_apply_is_never_the_cheapest(shape: KernelShape, precision: str) -> None:
    assert predicted_cost(Candidate("winograd", shape), replace(CONTEXT, precision=precision)) == float("inf")
