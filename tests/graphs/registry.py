"""The registry of small models, and what they begin and end with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

L = keras.layers

GRAPHS: dict[str, Callable[[], Any]] = {}


def graph(build: Callable[[], Any]) -> Callable[[], Any]:
    GRAPHS[build.__name__] = build
    return build


def seq(length: int = 23, channels: int = 4) -> Any:
    return L.Input((length, channels), name="seq")


def dense_head(x: Any, units: int = 3) -> Any:
    return L.Dense(units)(L.Flatten()(x))
