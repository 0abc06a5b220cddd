"""The table of kernels, and the contractions that each op's rule describes."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastism_compiler.ir import BATCH, TensorType
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.kernels import KERNELS, Contraction, Geometry, KernelShape
from fastism_compiler.ir.ops import RULES, Call, infer_type
from fastism_compiler.ir.queries import geometry_of, kernels_for

from tests.passes.graphs import Tiny

FOLDER = Path(__file__).parents[3] / "ir" / "kernels"


def test_one_kernel_one_module() -> None:
    assert all(name == spec.name for name, spec in KERNELS.items())
    modules = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "spec"}
    assert modules == {name.replace("-", "_") for name in KERNELS}


def test_every_contraction_has_a_kernel() -> None:
    computed = {kind for spec in KERNELS.values() for kind in spec.computes}
    assert computed == set(Contraction)


def test_what_runs_on_deltas_has_a_geometry() -> None:
    described = {kind for kind, rule in RULES.items() if rule.geometry is not None}
    assert described == {"conv", "depthwise_conv", "conv_transpose", "dense", "avg_pool"}
    assert all(RULES[kind].contraction for kind in described)


def test_an_op_without_one_is_refused() -> None:
    t = Tiny()
    with pytest.raises(IRError, match="has a geometry"):
        geometry_of(t.op("relu", t.x))


CONV = {"stride": 1, "dilation": 2, "groups": 1, "pad": (2, 2)}
TRANSPOSED = {"stride": 2, "dilation": 1, "pad": 0, "out_length": 25}
OTHER = Contraction.OTHER


@pytest.mark.parametrize(
    ("op", "kernel", "attrs", "axis", "expected"),
    [
        ("conv", (3, 4, 5), CONV, 1, Geometry(Contraction.CONVOLUTION, 3, 4, 5, dilation=2)),
        ("conv", (3, 4, 5), CONV, None, Geometry(OTHER, 3, 4, 5, dilation=2)),
        ("conv", (3, 4, 5), CONV | {"stride": 2}, 1, Geometry(OTHER, 3, 4, 5, dilation=2)),
        ("conv", (3, 2, 6), CONV | {"groups": 2}, 1, Geometry(OTHER, 3, 2, 6, dilation=2, groups=2)),
        ("depthwise_conv", (3, 4, 2), CONV, 1, Geometry(OTHER, 3, 1, 8, dilation=2, groups=4)),
        ("conv_transpose", (3, 5, 4), TRANSPOSED, 1, Geometry(Contraction.TRANSPOSED, 3, 4, 5, stride=2)),
        ("conv_transpose", (3, 5, 4), TRANSPOSED, None, Geometry(OTHER, 3, 4, 5, stride=2)),
        ("dense", (4, 7), {}, 1, Geometry(OTHER, 1, 4, 7)),
        ("dense", (4, 7), {}, 2, Geometry(Contraction.POSITIONS, 4, 1, 7)),
        ("avg_pool", None, {"size": 3, "stride": 3, "pad": (0, 0)}, 1, Geometry(OTHER, 3, 1, 4, groups=4)),
    ],
)
def test_geometries(
    op: str, kernel: tuple[int, ...] | None, attrs: dict[str, object], axis: int | None, expected: Geometry
) -> None:
    operands = [TensorType((BATCH, 12, 4), "float32")]
    operands += [TensorType(kernel, "float32")] if kernel else []
    geometry = RULES[op].geometry
    assert geometry is not None
    assert geometry(Call(attrs, tuple(operands), infer_type(op, operands, attrs)), axis) == expected


def test_kernels_of_an_op_that_changes_everywhere() -> None:
    """No window: the ordinary op."""
    t = Tiny()
    assert kernels_for(t.conv(t.x, 3)) == ("direct",)


def test_gathering_multiplies_what_is_needed() -> None:
    assert KERNELS["gather-gemm"].multiply_adds(KernelShape(1, 16, 6, 11, 4, 5, 1)) == 6 * 11 * 4 * 5


def test_an_ordinary_transposed_convolution_meets_one_tap_in_a_stride() -> None:
    assert KERNELS["direct"].multiply_adds(KernelShape(1, 12, 24, 4, 3, 5, 1, stride=2)) == 12 * 4 * 3 * 5
