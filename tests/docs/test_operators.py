"""The page of ONNX operators says what the rules and their tests say."""

from __future__ import annotations

from docs import operators


def test_the_page_is_what_the_tests_compile() -> None:
    assert operators.PAGE.read_text(encoding="utf-8") == operators.page(), "run `python -m docs.operators`"
