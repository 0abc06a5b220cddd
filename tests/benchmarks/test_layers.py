from __future__ import annotations

import pytest

from benchmarks import layers

HLO = """
%fused (p: f32[2,3]) -> f32[2,3] {
  ROOT %add.1 = f32[2,3]{1,0} add(%p, %p)
}
ENTRY %main {
  %x = f32[100,64]{1,0} parameter(0)
  %w = f32[64,32]{1,0} parameter(1)
  %MatMul.7 = f32[100,32]{1,0} dot(%x, %w), lhs_contracting_dims={1}, rhs_contracting_dims={0}, \
metadata={op_type="MatMul" op_name="while/layer.conv1d_9/MatMul"}
  %while.4 = (f32[], s32[]) while(%t), condition=%c, body=%b
  ROOT %relu_fusion = f32[100,32]{1,0} fusion(%MatMul.7), kind=kLoop, calls=%fused, \
metadata={op_name="while/layer.conv1d_9/Relu"}
}
"""


def test_products_and_layers_are_read_from_the_dump() -> None:
    steps = layers.steps_of(HLO)
    assert steps["MatMul.7"] == layers.Step("dot", "conv1d_9", (100, 32), 100 * 32 * 64)
    assert steps["relu_fusion"] == layers.Step("fusion", "conv1d_9", (100, 32), 0)


def test_the_slowest_steps_come_first() -> None:
    times = {"MatMul.7": 0.5e-3, "relu_fusion": 1.5e-3, "EagerExecute": 9.0}
    text = layers.table(layers.steps_of(HLO), times, dict.fromkeys(times, 10), most=5)
    first, second = text.splitlines()[2:]
    assert first == "| 75.0 % | 10 | 150 | fusion | conv1d_9 | 100x32 |  |"
    assert second == "| 25.0 % | 10 | 50 | dot | conv1d_9 | 100x32 | 4 |"


def test_a_model(capfd: pytest.CaptureFixture[str]) -> None:
    layers.main(["optimus_5prime", "--ranges", "4", "--most", "3"])
    out = [line for line in capfd.readouterr().out.splitlines() if line.startswith("|")]
    assert len(out) == 5
    assert any("conv1d" in line for line in out)
