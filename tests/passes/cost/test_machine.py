"""The cost models follow the machine: slow memory, or slow starts, change what is cheapest."""

from __future__ import annotations

from typing import Any

import pytest
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.ir.kernels import KernelShape
from fastism_compiler.passes import Context, default_pipeline
from fastism_compiler.passes.base import Candidate
from fastism_compiler.passes.cost.kernels import cheapest
from fastism_compiler.passes.cost.machine import ONE_GPU, Machine

from tests.passes.graphs import conv_relu_pool_dense, wide_convolutions

RANGES = ChangeRanges.of(None, 1000)


def test_rates_in_the_currency_of_multiply_adds() -> None:
    machine = Machine(multiply_adds=100e9, bytes=20e9, start=2e-6)
    assert machine.per_byte == 5
    assert machine.per_start == 2e5


@pytest.mark.parametrize(
    "wrong", [{"bytes": 0.0}, {"start": -1.0}, {"multiply_adds": float("nan")}, {"tile_rows": 0}, {"whole_rows": 1.5}]
)
def test_a_machine_does_something(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="above 0"):
        Machine(**wrong)


def test_where_memory_is_slow_the_overlap_add_is_avoided() -> None:
    """Basset's second convolution: scatter-GEMM moves more, Toeplitz multiplies more."""
    candidates = [Candidate(k, KernelShape(128, 7, 17, 11, 300, 200, 1)) for k in ("scatter-gemm", "toeplitz")]
    chosen = [cheapest(candidates, Context(RANGES, machine=Machine(bytes=b))).kernel for b in (30e9, 1e9)]
    assert chosen == ["scatter-gemm", "toeplitz"]


def test_where_starts_are_slow_tiles_are_larger() -> None:
    def rows(start: float) -> int:
        context = Context(ChangeRanges.of(None, 12), machine=Machine(start=start), core_cache=1 << 10)
        tiling = default_pipeline().run(conv_relu_pool_dense(), context).tiling
        assert tiling is not None
        return tiling.rows(8)

    assert rows(1e-12) < rows(1e-3)


def test_a_tile_has_at_most_the_rows_of_the_machine() -> None:
    def rows(machine: Machine) -> int:
        context = Context(ChangeRanges.of(None, 12), tile_bytes=1 << 40, machine=machine)
        tiling = default_pipeline().run(conv_relu_pool_dense(), context).tiling
        assert tiling is not None
        return tiling.most_rows

    assert rows(Machine()) == 256
    assert rows(Machine(tile_rows=7)) == 7
    assert rows(ONE_GPU) == 8192


def test_what_is_planned_for_a_cache_needs_a_cpu_and_a_compiler() -> None:
    assert Context(RANGES).cpu_only
    assert not Context(RANGES, jit=False).cpu_only
    assert not Context(RANGES, machine=ONE_GPU).cpu_only


def test_a_faster_memory_raises_the_predicted_speed_up() -> None:
    """Of what a mutation costs here, more is traffic than of what the model costs."""

    def speed_up(rate: float) -> float:
        context = Context(ChangeRanges.of(None, 500), machine=Machine(bytes=rate))
        prediction = default_pipeline().run(wide_convolutions(), context).prediction
        assert prediction is not None
        return prediction.speed_up

    assert speed_up(1e12) > speed_up(1e10)
