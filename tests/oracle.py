"""Independent naive ISM: the model itself on every mutant, written without the package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np


def naive_scan(model: Any, inputs: dict[str, np.ndarray[Any, Any]], ranges: Any, replacement: Any) -> list[Any]:
    """`[B, R, *out]` per flat output, from one call with the mutants of every range.

    `replacement(r)` is `[B, w, C]` or broadcasts to it.
    """
    count, batch = len(ranges), len(inputs["seq"])
    rows = {name: np.tile(x, (count, *[1] * (x.ndim - 1))) for name, x in inputs.items()}
    for r, (lo, hi) in enumerate(ranges):
        rows["seq"][r * batch : (r + 1) * batch, lo:hi] = replacement(r)
    outputs = [np.asarray(y) for y in keras.tree.flatten(model(as_model_takes(model, rows)))]
    return [y.reshape(count, batch, *y.shape[1:]).swapaxes(0, 1) for y in outputs]


def as_model_takes(model: Any, inputs: dict[str, np.ndarray[Any, Any]]) -> Any:
    structure = model._inputs_struct if not isinstance(model, keras.Sequential) else model._functional._inputs_struct
    if isinstance(structure, dict):
        return inputs
    values = [inputs["seq"] if len(model.inputs) == 1 else inputs[t.name] for t in model.inputs]
    return values if len(values) > 1 else values[0]


def make_inputs(model: Any, batch: int, dtype: str = "float32", seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """One-hot sequence with an N and a two-hot position; random numbers for other inputs."""
    rng = np.random.default_rng(seed)
    inputs = {}
    for tensor in model.inputs:
        name = tensor.name if len(model.inputs) > 1 else "seq"
        if name == "seq":
            inputs[name] = _sequences(rng, batch, tensor.shape[1:]).astype(
                dtype if "float" in tensor.dtype else tensor.dtype
            )
        else:
            inputs[name] = rng.standard_normal((batch, *tensor.shape[1:])).astype(dtype)
    return inputs


def _sequences(rng: Any, batch: int, shape: tuple[int, ...]) -> Any:
    if len(shape) == 1:
        return rng.integers(0, 5, (batch, *shape))
    length, channels = shape
    x = np.eye(channels)[rng.integers(0, channels, (batch, length))]
    x[0, length // 2] = 0
    x[-1, length // 3, :2] = 1
    return x


def assert_close(
    ours: Any, naive: list[Any], atol: float = 1e-6, rtol: float = 1e-5, exact: Callable[[], list[Any]] | None = None
) -> None:
    """Every output within `atol + rtol * max|y|`, NaNs and infinities in the same places.

    Deep models round more than that: `exact`, called where it is exceeded,
    gives the float64 scores that then tell rounding from error.
    """
    flat = [np.asarray(y) for y in keras.tree.flatten(ours)]
    assert len(flat) == len(naive)
    for number, (y, z) in enumerate(zip(flat, naive, strict=True)):
        assert y.shape == z.shape, f"{y.shape} != {z.shape}"
        assert y.dtype == z.dtype, f"{y.dtype} != {z.dtype}"
        finite = np.isfinite(z)
        np.testing.assert_array_equal(np.isfinite(y), finite)
        np.testing.assert_array_equal(np.isnan(y), np.isnan(z))
        limit = atol + rtol * np.abs(z[finite]).max(initial=0)
        error = np.abs(y[finite] - z[finite]).max(initial=0)
        if error > limit and exact is not None:
            wanted = exact()[number][finite]
            error, limit = np.abs(y[finite] - wanted).max(), 3 * np.abs(z[finite] - wanted).max()
        assert error <= limit, f"max error {error:.3e} > {limit:.3e}"


def spread(x: Any, weights: Any, dilation: int = 1, stride: int = 1) -> Any:
    """Every position of `[rows, w, Cin]` adds `x[a] @ weights[t]` at `a*stride + t*dilation`."""
    taps, width = len(weights), x.shape[1]
    y = np.zeros((len(x), (width - 1) * stride + (taps - 1) * dilation + 1, weights.shape[2]), x.dtype)
    for t in range(taps):
        first = t * dilation
        y[:, first : first + (width - 1) * stride + 1 : stride] += x @ weights[t]
    return y
