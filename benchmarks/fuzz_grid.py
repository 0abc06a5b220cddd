"""Every small layer, and every pair of them, in exact integers: all bits must agree with naive ISM.

One model holds all second layers as branches, so that a compilation checks many pairs.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import numpy as np

PAIR_LENGTHS = (9, 24)
LENGTHS = tuple(range(1, 25))
Layer = tuple[str, dict[str, Any]]


def layers() -> list[Layer]:
    """Convolutions and pools of kernel <= 5, stride <= 3, dilation <= 3, every padding."""
    found: list[Layer] = []
    for kernel in range(1, 6):
        for stride, dilation in ((1, 1), (1, 2), (1, 3), (2, 1), (3, 1)):
            for padding in ("valid", "same", "causal"):
                config = {"kernel_size": kernel, "strides": stride, "dilation_rate": dilation, "padding": padding}
                found.append(("Conv1D", {"filters": 2, "activation": "relu", **config}))
        found += [
            ("MaxPooling1D", {"pool_size": kernel, "strides": stride, "padding": padding})
            for stride in (1, 2, 3)
            for padding in ("valid", "same")
        ]
    return found


def check(length: int, first: Layer | None, part: slice = slice(None)) -> int:
    """All layers (or this part of them) on a sequence of `length`, behind `first` if given; how many there were.

    Raises:
        AssertionError: bits that differ from naive ISM, naming the layer.
    """
    import keras

    import fastism_compiler as fc

    keras.backend.clear_session()
    x = inputs = keras.Input((length, 2))
    if first is not None:
        x = getattr(keras.layers, first[0])(**first[1])(x)
    branches = []
    for kind, config in layers()[part] if 0 not in x.shape[1:] else []:
        try:
            y = getattr(keras.layers, kind)(**config)(x)
        except ValueError:
            continue  # shorter than the kernel
        if 0 not in y.shape[1:]:
            branches.append((kind, config, y))
    if not branches:
        return 0
    model = keras.Model(inputs, [y for *_, y in branches])
    rng = np.random.default_rng(length)
    model.set_weights([rng.integers(-2, 3, w.shape) for w in model.get_weights()])
    sequence = rng.integers(-2, 3, (1, length, 2)).astype("float32")
    replacement = rng.integers(-2, 3, (length, 1, 2)).astype("float32")
    passes = fc.default_pipeline().remove("choose-program")  # never left to Keras, however small
    ours = fc.compile(model, jit=False, verify=False, pipeline=passes)(sequence, replacement)
    mutants = np.repeat(sequence, length, axis=0)
    mutants[np.arange(length), np.arange(length)] = replacement[:, 0]
    naive = keras.tree.flatten(model(mutants))
    for (kind, config, _), y, z in zip(branches, keras.tree.flatten(ours), naive, strict=True):
        if not np.array_equal(y[0], np.asarray(z)):
            raise AssertionError(f"length {length}, after {first}: {kind} {config}")
    return len(branches)


def run_grid(jobs: int) -> dict[str, Any]:
    """Every layer at every length up to 24, and every pair at a few lengths."""
    tasks: list[tuple[int, Layer | None]] = [(length, None) for length in LENGTHS]
    tasks += [(length, first) for length in PAIR_LENGTHS for first in layers()]
    counts, failures = [0, 0], []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=20) as pool:
        futures = {pool.submit(check, *task): task for task in tasks}
        for done, future in enumerate(as_completed(futures), 1):
            try:
                counts[futures[future][1] is not None] += future.result()
            except Exception as error:
                failures.append(f"{futures[future]}: {error}")
                print(f"FAILED: {failures[-1]}", flush=True)
            if done % 20 == 0:
                print(f"{done} of {len(tasks)} models", flush=True)
    return {"layers": counts[0], "pairs": counts[1], "failures": failures}
