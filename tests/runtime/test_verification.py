"""The verdict of `verify`: what infinities may not excuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.runtime.verification import VerificationReport, _compare, _judge
from tests.graphs import GRAPHS


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


def test_a_verdict_against_float64_shows_the_error_that_was_judged() -> None:
    naive = np.random.default_rng(0).standard_normal((6, 2)).astype(np.float32)
    result = _compare("output", naive, naive, 1e-6, 1e-5, 0.0)
    assert f"(tolerance {result.tolerance:.2e}) ok" in str(VerificationReport((result,), 3, 2))
    judged = _judge(result, naive, naive, naive.astype(np.float64))
    assert "root mean square error against float64 0.00e+00, allowed" in str(VerificationReport((judged,), 3, 2))


class Stepped:
    """A scorer whose model jumps by `jump` where its inputs move, and whose program is `off` by as much as it likes."""

    def __init__(self, scorer: Any, jump: float, off: float) -> None:
        self._scorer, self._jump, self._off, self._calls = scorer, jump, off, 0

    def score_jobs(self, arrays: Any, jobs: Any) -> Any:
        return [y + self._off for y in self._scorer.score_jobs_naively(arrays, jobs)]

    def score_jobs_naively(self, arrays: Any, jobs: Any) -> Any:
        self._calls += 1
        return [y + (self._jump if self._calls > 1 else 0) for y in self._scorer.score_jobs_naively(arrays, jobs)]

    def score_jobs_in_float64(self, arrays: Any, jobs: Any) -> Any:
        raise ValueError("no clone")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)


@pytest.mark.parametrize(("jump", "off", "passes"), [(1.0, 1.0, True), (0.0, 1.0, False), (1.0, 4.0, False)])
def test_steps_of_the_model_itself_excuse_as_much_and_no_more(jump: float, off: float, passes: bool) -> None:
    """Rounding to 8 bits turns a last bit into a step of 6 %, in the model as in the program."""
    program = fc.compile(GRAPHS["conv_valid"](), jit=False, verify=False)
    program.scorer = Stepped(program.scorer, jump, off)
    if not passes:
        with pytest.raises(fc.VerificationError):
            program.verify()
        return
    assert "rounding alone changes the model's results by 1.0e+00" in str(program.verify())


def test_a_float64_clone_judges_alone_where_there_is_one() -> None:
    program = fc.compile(GRAPHS["conv_valid"](), jit=False, verify=False)
    stepped = Stepped(program.scorer, jump=1.0, off=1.0)
    stepped.score_jobs_in_float64 = program.scorer.score_jobs_in_float64  # type: ignore[method-assign]
    program.scorer = stepped
    with pytest.raises(fc.VerificationError):
        program.verify()
