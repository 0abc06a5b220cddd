from __future__ import annotations

from fastism_compiler.ir import to_text

from tests.conftest import Golden
from tests.passes.graphs import conv_relu_pool_dense, residual_with_stop, run_until


def test_conv_relu_pool_dense(golden: Golden) -> None:
    golden(to_text(run_until(conv_relu_pool_dense(), "segment")))


def test_residual_with_stop(golden: Golden) -> None:
    golden(to_text(run_until(residual_with_stop(), "segment")))
