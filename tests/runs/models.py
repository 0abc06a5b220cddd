"""Tiny models for runs, saved once per test module; and the plain loop that they are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

LENGTH = 60
COMPLEMENT = str.maketrans("ACGT", "TGCA")
Array = np.ndarray[Any, Any]


def small_model(length: int = LENGTH, channels: int = 4) -> keras.Model:
    """Convolution, pool, two heads: a vector and a probability."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((length, channels), name="sequence")
    y = keras.layers.Conv1D(6, 7, activation="relu", padding="same")(inputs)
    y = keras.layers.MaxPooling1D(3)(y)
    y = keras.layers.Conv1D(5, 3, activation="relu")(y)
    y = keras.layers.GlobalAveragePooling1D()(y)
    head = keras.layers.Dense(3, name="head")(y)
    chance = keras.layers.Dense(1, activation="sigmoid", name="chance")(y)
    return keras.Model(inputs, [head, chance])


def save(model: keras.Model, folder: Path) -> str:
    path = folder / "model.keras"
    model.save(path)
    return str(path)


def one_hot(text: str, alphabet: str = "ACGT") -> Array:
    return (np.array(list(text.upper()))[:, None] == np.array(list(alphabet))).astype(np.float32)


def predict(model: keras.Model, texts: list[str], alphabet: str = "ACGT") -> list[Array]:
    """The model's outputs for sequences as text, by `model.predict`."""
    outputs = model.predict(np.stack([one_hot(t, alphabet) for t in texts]), verbose=0, batch_size=1024)
    return outputs if isinstance(outputs, list) else [outputs]


def saturate(model: keras.Model, texts: list[str], positions: list[int]) -> list[Array]:
    """Outputs `[N, P, 4, *out]` for every letter at every position: a plain loop."""
    mutants = [t[:p] + letter + t[p + 1 :] for t in texts for p in positions for letter in "ACGT"]
    outputs = predict(model, mutants)
    return [y.reshape(len(texts), len(positions), 4, *y.shape[1:]) for y in outputs]


def reverse(text: str) -> str:
    return text.translate(COMPLEMENT)[::-1]


def genome(rng: np.random.Generator, sizes: dict[str, int]) -> dict[str, str]:
    return {name: "".join(rng.choice(list("ACGT"), size)) for name, size in sizes.items()}


def write_fasta(path: Path, records: dict[str, str], width: int = 70) -> Path:
    lines = []
    for name, text in records.items():
        lines += [f">{name}", *(text[i : i + width] for i in range(0, len(text), width))]
    path.write_text("\n".join(lines) + "\n")
    return path


def close(ours: Array, naive: Array) -> None:
    limit = 1e-6 + 1e-5 * np.abs(naive).max()
    assert ours.shape == naive.shape
    assert np.abs(ours - naive).max() <= limit
