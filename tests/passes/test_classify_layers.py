from __future__ import annotations

from fastism_compiler.ir import to_text

from tests.conftest import Golden
from tests.passes.graphs import Tiny, conv_relu_pool_dense, residual_with_stop, run_until


def test_conv_relu_pool_dense(golden: Golden) -> None:
    golden(to_text(run_until(conv_relu_pool_dense(), "classify-layers")))


def test_residual_with_stop(golden: Golden) -> None:
    golden(to_text(run_until(residual_with_stop(), "classify-layers")))


def test_positions_on_different_axes_do_not_meet() -> None:
    t = Tiny(length=4, channels=4)
    graph = run_until(t.finish(t.op("add", t.x, t.op("transpose", t.x, perm=(0, 2, 1)))), "classify-layers")
    assert graph.outputs[0].facts.reason == "operands carry positions on different axes"


def test_truth_values_are_not_padded() -> None:
    t = Tiny()
    above = t.op("greater", t.x, t.op("relu", t.x))
    graph = run_until(t.finish(t.op("pad", above, axis=1, left=1, right=1)), "classify-layers")
    assert graph.outputs[0].facts.reason == "truth values are not padded, shifted or reshaped as windows"


def test_a_recurrence_names_its_reason_and_behind_a_stop_another(golden: Golden) -> None:
    t = Tiny(channels=8)
    attrs = {"cell": "lstm", "reverse": False, "activation": "tanh", "recurrent_activation": "sigmoid"}
    first = t.op("recurrence", t.x, t.parameter(2, 8), **attrs)
    second = t.op("recurrence", t.op("dense", first, t.parameter(2, 8)), t.parameter(2, 8), **attrs)
    golden(to_text(run_until(t.finish(second), "classify-layers")))
