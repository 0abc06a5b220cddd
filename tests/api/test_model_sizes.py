"""`fc.models`: sizes that no layer can have are refused by name, before Keras is asked or in Keras's words."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import fastism_compiler as fc
from fastism_compiler.errors import FastISMError

BUILDERS = fc.models.__all__


@pytest.mark.parametrize("value", [-1, "a", 1.5, True, [], b"x", 10**30, float("nan")])
@pytest.mark.parametrize("name", BUILDERS)
def test_a_size_of_another_kind_is_refused_by_name(name: str, value: Any) -> None:
    build = getattr(fc.models, name)
    for size in inspect.signature(build).parameters:
        if size == "scale" and value == 1.5:
            continue  # a scale may be a fraction
        with pytest.raises(FastISMError, match=rf"{size}= (has a wrong value|is too small|is too large)"):
            build(**{size: value})


def test_sizes_that_do_not_fit_together_are_refused_with_the_reason_of_keras() -> None:
    with pytest.raises(FastISMError, match=r"cannot be built with these sizes(.|\n)*length=20(.|\n)*negative"):
        fc.models.chrombpnet(length=20, profile=10, filters=2, bias_filters=2, dilated=1)


def test_a_builder_keeps_its_signature_and_text() -> None:
    assert list(inspect.signature(fc.models.basset).parameters) == ["length", "channels", "outputs", "seed"]
    assert "Kelley" in (fc.models.basset.__doc__ or "")
