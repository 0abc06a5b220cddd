from __future__ import annotations

from dataclasses import replace

import pytest
from fastism_compiler.ir import ChangeRanges, Section, to_text
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.ir.kernels import KernelShape
from fastism_compiler.passes import Context, default_pipeline
from fastism_compiler.passes.base import Candidate
from fastism_compiler.passes.cost.kernels import cheapest, predicted_cost
from fastism_compiler.passes.select_kernels import SelectKernelsPass

from tests.conftest import Golden
from tests.passes.graphs import context as context_of
from tests.passes.graphs import conv_relu_pool_dense, residual_with_stop, run_until


def test_conv_relu_pool_dense(golden: Golden) -> None:
    golden(to_text(run_until(conv_relu_pool_dense(), "select-kernels")))


def test_residual_with_stop(golden: Golden) -> None:
    golden(to_text(run_until(residual_with_stop(), "select-kernels")))


RECORDED = {"scatter-gemm": 37e-6, "toeplitz": 60e-6, "direct": 87e-6}
"""Seconds a row for Basset's second convolution (w=7, k=11, 300 -> 200), measured once."""


def test_recorded_times_and_the_cost_model_agree() -> None:
    """Toeplitz and scatter-GEMM do the arithmetic of the window; direct does the padding's too."""
    context = Context(ChangeRanges.of(None, 1000), jit=True, batch_size=8)
    costs = {k: predicted_cost(Candidate(k, KernelShape(128, 7, 17, 11, 300, 200, 1)), context) for k in RECORDED}
    assert min(costs, key=costs.__getitem__) == min(RECORDED, key=RECORDED.__getitem__) == "scatter-gemm"


def test_a_stopwatch_decides_where_there_is_one() -> None:
    asked = []

    def measure(candidate: Candidate) -> float:
        asked.append(candidate)
        return ["direct", "toeplitz", "scatter-gemm", "gather-gemm", "winograd"].index(candidate.kernel) + 1.0

    graph = conv_relu_pool_dense()
    default_pipeline().run(graph, replace(context_of(graph), measure=measure))
    kernels = {n.facts.kernel for n in graph.nodes(Section.TILE) if n.op == "conv"}
    assert kernels == {"direct"}
    assert {c.kernel for c in asked} > {"direct"}, "it had a choice"


@pytest.mark.parametrize(
    ("width", "taps", "channels", "dilation", "chosen"),
    [
        (7, 11, 300, 1, "winograd"),  # Basset's second
        (529, 3, 512, 256, "winograd"),  # ChromBPNet's widest
        (279, 3, 64, 128, "scatter-gemm"),  # BPNet: few channels, and more passes over wide windows
        (1, 11, 300, 1, "scatter-gemm"),  # nothing to pair
        (256, 3, 512, 256, "scatter-gemm"),
        (6, 1, 512, 1, "scatter-gemm"),  # nothing to group
    ],
)
def test_pairs_and_groups_where_products_are_what_takes_time(
    width: int, taps: int, channels: int, dilation: int, chosen: str
) -> None:
    context = Context(ChangeRanges.of(None, 2000))
    reach = (taps - 1) * dilation
    shape = (width, width + reach, taps, channels, channels, dilation)
    both = [Candidate(k, KernelShape(100, *shape)) for k in ("scatter-gemm", "winograd")]
    assert cheapest(both, context).kernel == chosen


@pytest.mark.parametrize("precision", ["bfloat16", "tf32"])
def test_fewer_digits_are_not_spent_on_cancellation(precision: str) -> None:
    context = Context(ChangeRanges.of(None, 1000), precision=precision)
    both = [Candidate(k, KernelShape(100, 7, 17, 11, 300, 200, 1)) for k in ("scatter-gemm", "winograd")]
    assert cheapest(both, context).kernel == "scatter-gemm"


def test_times_are_compared_row_by_row() -> None:
    """A kernel that takes more rows at once takes longer for a tile."""
    scatter = Candidate("scatter-gemm", KernelShape(100, 7, 17, 11, 300, 200, 1))
    gather = Candidate("gather-gemm", KernelShape(200, 27, 17, 11, 300, 200, 1))
    context = Context(
        ChangeRanges.of(None, 1000), measure=lambda c: 0.9 * c.shape.rows if c is gather else c.shape.rows
    )
    assert cheapest([scatter, gather], context) is gather


def test_hopeless_candidates_are_not_timed() -> None:
    """A banded kernel for a window of 535 positions would take gigabytes."""
    wide = [Candidate(k, KernelShape(8, 535, 1047, 3, 64, 64, 256)) for k in RECORDED]

    def measure(candidate: Candidate) -> float:
        assert candidate.kernel != "toeplitz"
        return 1.0 if candidate.kernel == "direct" else 2.0

    context = Context(ChangeRanges.of(None, 1000), measure=measure)
    assert cheapest(wide, context).kernel == "direct"


def test_the_kernels_to_choose_from_are_an_option() -> None:
    pipeline = default_pipeline().replace("select-kernels", SelectKernelsPass(kernels=("direct",)))
    graph = pipeline.run(conv_relu_pool_dense(), Context(ChangeRanges.of(None, 12)))
    assert {n.facts.kernel for n in graph.nodes(Section.TILE) if n.op == "conv"} == {"direct"}


def test_a_name_that_is_no_kernel_is_refused() -> None:
    with pytest.raises(OptionError, match="toeplits"):
        SelectKernelsPass(kernels=("toeplits",))


def test_few_needed_outputs_are_gathered() -> None:
    """A dilated convolution of which 100 of 2,100 outputs are needed (SpliceAI), and the same with all needed."""
    context = Context(ChangeRanges.of(None, 1200))
    scatter = Candidate("scatter-gemm", KernelShape(8, 1100, 2100, 11, 32, 32, 100))
    few, all_of_them = (Candidate("gather-gemm", KernelShape(8, n + 1000, n, 11, 32, 32, 100)) for n in (100, 2100))
    assert cheapest([scatter, few], context) is few
    assert cheapest([scatter, all_of_them], context) is scatter
