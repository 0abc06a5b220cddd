"""Variants: one letter, some letters or a window of any width, at any place of any sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastism_compiler as fc
from tests.api.models import LENGTH, model64
from tests.oracle import make_inputs

RNG = np.random.default_rng(3)


def test_variants_of_every_form() -> None:
    model = model64()
    x = make_inputs(model, 3, "float64")["seq"]
    window = RNG.random((3, 4))
    listed: list[tuple[int, int, Any]] = [
        (2, 22, "A"), (0, 0, "ACGTA"), (1, 5, 2), (1, 5, window), (0, 7, "TT"), (2, 18, "GGGGG"),
        (0, 0, "ACGT" * 5 + "ACG"),
    ]  # fmt: skip
    program = fc.compile(model, ranges=[(3, 4)], batch_size=2, jit=False, verify=False)
    scores, effects = program.variants(x, listed), program.variants(x, listed, delta=True)
    for (sequence, position, alt), score, effect in zip(listed, scores, effects, strict=True):
        letters = (
            alt
            if isinstance(alt, np.ndarray)
            else np.eye(4)[[alt] if isinstance(alt, int) else ["ACGT".index(c) for c in alt]]
        )
        mutant = x[sequence : sequence + 1].copy()
        mutant[:, position : position + len(letters)] = letters
        np.testing.assert_allclose(score, model(mutant)[0], rtol=1e-9)
        np.testing.assert_allclose(effect, score - np.asarray(model(x[sequence : sequence + 1])[0]), atol=1e-12)


@pytest.mark.parametrize(
    ("variant", "error", "rule"),
    [
        ((3, 0, "A"), fc.InputError, "sequence that was not given"),
        ((0, -1, "A"), fc.RangeError, "inside its sequence"),
        ((0, 22, "AC"), fc.RangeError, "inside its sequence"),
        ((0, 0, "AZG"), fc.ReplacementError, "spelt in the alphabet"),
        ((0, 0, ""), fc.ReplacementError, "a deletion"),
        ((0, 0, 4), fc.ReplacementError, "name a letter"),
        ((0, 0, np.zeros((2, 3))), fc.ReplacementError, r"\[w, C\]"),
        ((0, 0, np.full((1, 4), np.nan)), fc.ReplacementError, "finite"),
        ((0, 0), fc.InputError, r"\(sequence, position, alt\)"),
    ],
)
def test_bad_variants(variant: Any, error: type[Exception], rule: str) -> None:
    program = fc.compile(model64(), jit=False, verify=False)
    with pytest.raises(error, match=rule):
        program.variants(np.zeros((3, LENGTH, 4)), [variant])


def test_no_variants() -> None:
    with pytest.raises(fc.InputError, match="at least one"):
        fc.compile(model64(), jit=False, verify=False).variants(np.zeros((3, LENGTH, 4)), [])
