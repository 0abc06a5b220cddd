"""Models that tests of the API share."""

from __future__ import annotations

from typing import Any

from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize
from tests.graphs import GRAPHS

LENGTH = 23
"""Positions of the graphs that these tests take."""


def model64(name: str = "batch_norm_orders") -> Any:
    return float64_clone(randomize(GRAPHS[name]()))
