"""Shuffles keep what they promise, draw every order equally often, and can replace ranges."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import fastism_compiler as fc

TEXTS = ["ACGTTGCAACGGTCA", "AAAAAAAAAAAAAAA", "ACNNGTACGTNACGT"]


def text_of(x: Any) -> str:
    return "".join("ACGT"[row.argmax()] if row.any() else "N" for row in x)


@pytest.mark.parametrize("kind", ["letter", "dinucleotide"])
def test_what_is_kept(kind: str) -> None:
    found = fc.shuffles(TEXTS, 20, kind, seed=0)
    assert found.shape == (20, 3, 15, 4)
    for number, text in enumerate(TEXTS):
        for order in map(text_of, found[:, number]):
            assert Counter(order) == Counter(text)
            if kind == "dinucleotide":
                assert Counter(pairwise(order)) == Counter(pairwise(text))
    assert len({text_of(x) for x in found[:, 0]}) > 10
    np.testing.assert_array_equal(found, fc.shuffles(fc.one_hot(TEXTS), 20, kind, seed=0))
    assert (found != fc.shuffles(TEXTS, 20, kind, seed=1)).any()


def test_every_order_is_equally_likely() -> None:
    """The walks over AA, AC, CA, AG, GA, AC, CG and so on are listed by hand, by trying all orders."""
    text = "ACAAGACGA"
    pairs = Counter(pairwise(text))

    def orders(done: str) -> set[str]:
        left = pairs - Counter(pairwise(done))
        return {done} if not left else set().union(*(orders(done + b) for a, b in left if a == done[-1]), set())

    possible = orders(text[0])
    drawn = Counter(map(text_of, fc.shuffles(text, 4000, seed=3)[:, 0]))
    assert set(drawn) == possible
    expected = 4000 / len(possible)
    assert sum((n - expected) ** 2 / expected for n in drawn.values()) < 2 * len(possible), "chi squared"


def test_a_range_is_replaced_by_its_shuffle() -> None:
    model = fc.models.optimus_5prime(length=20)
    x = fc.one_hot(["ACGTTGCAACGGTCAACGTT", "TTGCATGCCATGATCAGGAT"])
    ranges = [(2, 8), (9, 15)]
    shuffled = fc.shuffles(x, seed=0)[0]
    parts = np.stack([shuffled[:, lo:hi] for lo, hi in ranges], axis=1)
    ours = fc.compile(model, ranges=ranges, jit=False, verify=False)(x, parts)
    mutant = x.copy()
    mutant[:, 9:15] = shuffled[:, 9:15]
    np.testing.assert_allclose(ours[:, 1], model.predict(mutant, verbose=0), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("ACGT", 0), "count="),
        (("ACGT", 1, "codon"), "no such kind"),
        (("ACGT", 1, "letter", -1), "seed="),
        (("ACGU",), "outside the alphabet"),
        ((np.full((1, 3, 4), 0.25),), "one-hot"),
        ((np.ones((1, 3, 4)),), "one-hot"),
        ((np.zeros((3, 4)),), "one-hot"),
        ((np.zeros((2, 0, 4)),), "one-hot"),
        ((np.zeros((0, 5, 4)),), "one-hot"),
        ((np.full((1, 3, 4), np.nan),), "one-hot"),
        (([[[1, 0]], [[1, 0], [0, 1]]],), "one-hot"),
        ((["ACGT", 5],), "one-hot"),
    ],
)
def test_refusals(arguments: tuple[Any, ...], rule: str) -> None:
    with pytest.raises(fc.FastISMError, match=rule):
        fc.shuffles(*arguments)


def test_long_runs_of_one_letter_take_no_longer() -> None:
    """Each letter's last edge has to leave a run of 500."""
    text = "A" * 500 + "C" * 500 + "G" * 500 + "T"
    assert Counter(text_of(fc.shuffles(text, seed=0)[0, 0])) == Counter(text)


def test_texts_of_a_table() -> None:
    column = np.array(TEXTS, dtype=object)
    np.testing.assert_array_equal(fc.shuffles(column, seed=0), fc.shuffles(TEXTS, seed=0))


def test_one_letter_and_no_sequence() -> None:
    assert text_of(fc.shuffles("A")[0, 0]) == "A"
    with pytest.raises(fc.InputError):
        fc.shuffles([])
