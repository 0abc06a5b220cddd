"""The best naive run: mutants made on the device, whole batches through the model, with and without XLA."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.timing import seconds

BATCHES = (16, 64, 256)


def best_naive(model: Any, inputs: list[np.ndarray[Any, Any]], rows: int) -> tuple[float, str]:
    """Seconds per mutated row, and how they were reached.

    Every setting scores the same `rows` mutants of the first sequence in
    whole batches, all at once among them; the fastest setting counts.
    """
    results = {}
    for jit in (False, True):
        for batch in sorted({*BATCHES, min(rows, max(BATCHES))}):
            if batch <= rows:
                results[f"{'XLA' if jit else 'plain'}, batch {batch}"] = _seconds_per_row(
                    model, inputs, batch, rows, jit
                )
    setting = min(results, key=lambda k: results[k])
    return results[setting], setting


def _seconds_per_row(model: Any, inputs: list[np.ndarray[Any, Any]], batch: int, rows: int, jit: bool) -> float:
    import tensorflow as tf

    length = inputs[0].shape[1]
    tensors = [tf.constant(x[:1]) for x in inputs]

    @tf.function(jit_compile=jit, autograph=False)
    def score(positions, tensors):  # type: ignore[no-untyped-def]
        changed = tf.one_hot(positions, length, on_value=False, off_value=True, dtype=tf.bool)
        mutants = tf.where(changed[..., None], tensors[0], 0.0)
        rest = [tf.repeat(x, batch, axis=0) for x in tensors[1:]]
        return model([mutants, *rest] if rest else mutants, training=False)

    positions = np.arange(rows) % length

    def run() -> None:
        for begin in range(0, rows - batch + 1, batch):
            result = score(tf.constant(positions[begin : begin + batch]), tensors)
        tf.nest.map_structure(lambda y: y.numpy(), result)

    return seconds(run, repeats=2) / (rows // batch * batch)
