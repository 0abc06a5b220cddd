"""What is recorded of a model, and where: `NAME.npz` beside `NAME.dynamo.onnx` and `NAME.script.onnx`. No PyTorch here.

An archive holds, for `N` sequences, `P` positions and `V` replacements:

- `input0`, `input1`, ...: what the model takes, `[N, ...]`; the first is the sequence.
- `positions`: `[P]`, spread over the sequence, both ends included.
- `replaced0`, `replaced1`, ...: for each output `[N, P, V, ...]`, with the letter at the position replaced by each
  other one and itself, and last by zeros; tokens by every token.
- `zeroed0`, ...: for each output `[N, L, ...]`, with zeros at every position. Of some models alone.

Numbers are computed in float64 and kept as float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.torch_models.table import Model

Array = np.ndarray[Any, Any]

FOLDER = Path(__file__).parents[2] / "tests" / "frontend" / "onnx" / "models"
SEQUENCES = 2
EXPORTERS = ("dynamo", "script")
"""`torch.onnx.export` with `dynamo=True`, and the one before it."""


def file_of(name: str, exporter: str) -> Path:
    """Where a model is kept."""
    return FOLDER / f"{name}.{exporter}.onnx"


def positions_of(model: Model) -> Array:
    """The positions at which every replacement is recorded."""
    return np.unique(np.linspace(0, model.length - 1, model.positions).round().astype(np.int64))


def replacements_of(model: Model) -> Array:
    """What replaces a letter: `[V, letters]`, zeros last; `[V]` for tokens."""
    if model.tokens:
        return np.arange(model.tokens)
    letters = model.shape[model.letters - 1]
    return np.eye(letters + 1, letters, dtype=np.float32)


def mutated(model: Model, x: Array, position: int, value: Any) -> Array:
    """The sequences with one letter replaced, as the model takes them.

    Args:
        model: says on which axes positions and letters are.
        x: sequences.
        position: where.
        value: `[letters]`, or a token.
    """
    made = x.copy()
    if model.tokens:
        made[:, position] = value
        return made
    order = np.moveaxis(made, (model.positions_axis, model.letters), (1, 2))  # a view
    order[:, position] = value.reshape(-1, *[1] * (made.ndim - 3))
    return made
