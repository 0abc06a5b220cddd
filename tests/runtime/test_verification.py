"""The verdict of `verify`: what infinities may not excuse."""

from __future__ import annotations

import numpy as np

from fastism_compiler.runtime.verification import _compare, _judge


def test_a_clone_that_is_another_function_does_not_judge() -> None:
    naive = np.random.default_rng(0).standard_normal((6, 2)).astype(np.float32)
    ours, exact = naive + 1, naive.astype(np.float64) + 1  # as wrong as the clone
    result = _compare("output", ours, naive, 1e-6, 1e-5, 0.0)
    assert not _judge(result, ours, naive, exact).passed


def test_an_infinite_score_does_not_excuse_the_finite_ones_beside_it() -> None:
    exact = np.random.default_rng(0).standard_normal((6, 2))
    exact[:, 1] = -np.inf
    naive = exact.astype(np.float32)
    for ours, passes in ((naive, True), (naive + np.float32(0.1), False)):
        result = _compare("output", ours, naive, 1e-6, 1e-5, 0.0)
        assert result.same_non_finite
        assert _judge(result, ours, naive, exact).passed == passes
