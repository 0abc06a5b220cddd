"""The page of layers and operations says what the installed Keras has, and what becomes of it."""

from __future__ import annotations

import pytest

from docs import coverage

PAGE = coverage.PAGE.read_text(encoding="utf-8")
KINDS = {
    "Layers": (coverage.names_of_layers, coverage.layer_outcome),
    "Operations": (coverage.names_of_operations, coverage.operation_outcome),
}
EACH = 25
"""One in so many is compiled again; the page itself compiles all."""


@pytest.mark.parametrize("section", KINDS)
def test_the_page_names_everything_that_keras_has(section: str) -> None:
    here = set(KINDS[section][0]())
    there = set(coverage.classes_of(PAGE, section))
    assert here == there, "this Keras has others: run `python -m docs.coverage`, and look at what is new"


@pytest.mark.parametrize("section", KINDS)
def test_the_page_is_true(section: str) -> None:
    names, outcome = KINDS[section]
    classes = coverage.classes_of(PAGE, section)
    assert {name: outcome(name).kind for name in names()[::EACH]} == {name: classes[name] for name in names()[::EACH]}
