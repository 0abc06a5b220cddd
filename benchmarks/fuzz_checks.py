"""What the fuzzer demands of one case: the oracle, the verdicts, and relations that must hold of any program.

- float64, traced: within 1e-9 relative of naive ISM in float64, so that any logic error shows. The program runs
  op by op (which takes less than half of the time), or as a traced graph.
- float32, jitted (by XLA, which is not used in float64): no worse than naive float32 is, measured against float64
  (the verdict of `verify`). Naive is `model.predict` for every third case, `model(x)` for the others.
- integers: whole-number weights and inputs; float32 is exact, and every bit must agree.
- special: the model's outputs are finite for one-hot letters, NaN or infinite for mutants. Half of the programs, at
  random, run in XLA; NaN and infinities must be where the model itself has them.
- relations: a replacement equal to the sequence has an effect of exactly 0; results depend neither on the
  order of the sequences nor on which others are scored with them; a text scores as its one-hot array; outputs
  around the change are parts of the whole ones; two substitutions together score as in the model.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from fastism_compiler.passes.compose_convolutions import ComposeConvolutionsPass
from fastism_compiler.passes.select_kernels import SelectKernelsPass

import fastism_compiler as fc
from benchmarks.fuzz_layers import TOKENS, build
from benchmarks.fuzz_pairs import naive_pair_effects, pair_effects
from fastism_compiler.runtime.traced import op_by_op

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-9
FLOAT32 = ("float32", "jitted", "special")


class MismatchError(AssertionError):
    """The program and naive ISM disagree."""


@dataclass(frozen=True)
class Checked:
    """What happened to a case.

    Attributes:
        outcome: windowed, stopped, invalid, or `refused: rule`.
        multiply_adds: of one forward pass.
        in_windows: of these, those in aggregations and in layers with a window.
    """

    outcome: str
    multiply_adds: int = 0
    in_windows: int = 0


def check_case(case: dict[str, Any]) -> Checked:
    """Check a case in its mode (see `_check`), op by op unless the mode asks for a graph."""
    with op_by_op(case["mode"] not in ("traced", "jitted", "special")):
        return _check(case)


def _check(case: dict[str, Any]) -> Checked:
    """Compile one case and compare.

    Raises:
        MismatchError: a wrong number, shape or effect.
        Exception: a crash in the compiler or the program.
    """
    rng = np.random.default_rng(zlib.crc32(json.dumps(case, sort_keys=True).encode()))
    mode, ranges = case["mode"], [tuple(r) for r in case["ranges"]]
    if mode in FLOAT32:  # its verdict is statistical: a few results may all be rounded luckily
        ranges += [(i, i + 1) for i in range(case["spec"]["length"])]
    plain = _runs(lambda: build(case["spec"]), mode)
    if plain is None:
        return Checked("invalid")
    wide = _widened(plain)
    if _runs(lambda: wide, mode) is None:  # Keras casts constants of some operations to float64, and fails on others
        return Checked("invalid")
    model = _prepared(plain, mode, rng)
    x = _inputs(model, rng, mode)
    channels = case.get("channels")
    replacement = _replacement(x["seq"], ranges, rng, channels, mode)
    try:
        passes = _pipeline(rng)
        options: dict[str, Any] = {"channels": channels, "alphabet": "ACGT"[: len(channels)]} if channels else {}
        options |= {"jit": _jitted(mode, rng), "verify": False, "pipeline": passes}
        compiled = partial(fc.compile, model, _sequence_of(model), ranges, **options)
        program = compiled()
    except fc.UnsupportedError as refusal:
        return Checked(f"refused: {refusal.rule}")
    ours = _flat(program(_nest(model, x), replacement))
    exact = _widened(model) if mode in FLOAT32 else model
    naive = _naive(exact, x, ranges, replacement, channels)
    if mode in FLOAT32:
        as_users_run_it = bool(rng.integers(3) == 0)
        _judge(ours, _naive(model, x, ranges, replacement, channels, predict=as_users_run_it), naive)
    else:
        _compare(ours, naive, bits=mode == "integers")
    if case["relations"]:
        _check_no_effect(program, model, x, ranges, channels)
        _check_order(program, model, x, replacement, ours, bits=mode == "integers")
        _check_texts(program, model, replacement, rng)
        if mode not in FLOAT32:
            if rng.integers(3) == 0:
                _check_pairs(program, model, x, rng, bits=mode == "integers")
            _check_around(compiled, _nest(model, x), replacement, ours, int(rng.integers(4)), bits=mode == "integers")
    layers = program.plan.layers
    inside = sum(layer.naive for layer in layers if layer.window is not None or layer.layer_class == "aggregation")
    return Checked("stopped" if program.plan.stops else "windowed", sum(layer.naive for layer in layers), inside)


def _runs(build: Callable[[], Any], mode: str) -> Any:
    """A model, if Keras can build and run it; else None."""
    try:
        model = build()
        model(_nest(model, _inputs(model, np.random.default_rng(0), mode)))
    except Exception:  # whatever Keras or TensorFlow raise: nothing of ours runs here
        return None
    return model


def _jitted(mode: str, rng: np.random.Generator) -> bool:
    return mode == "jitted" or (mode == "special" and bool(rng.integers(2)))


def _pipeline(rng: np.random.Generator) -> Any:
    """Passes that never leave a model to Keras, however small; most take one kernel for every convolution.

    Three in four compose convolutions wherever that is exact, since for so few ranges it would never pay.
    """
    passes, step = fc.default_pipeline().remove("choose-program"), SelectKernelsPass()
    composing = ComposeConvolutionsPass(least_gain=float(rng.choice([0.0, *[-np.inf] * 3])))
    passes = passes.replace(composing.name, composing)
    kernel = rng.choice(["any", *step.kernels])
    return passes if kernel == "any" else passes.replace(step.name, SelectKernelsPass(kernels=(str(kernel),)))


def _prepared(model: Any, mode: str, rng: np.random.Generator) -> Any:
    """The model with random weights, in the precision of its mode."""
    from fastism_compiler.models.randomize import randomize

    if mode == "integers":
        model.set_weights([rng.integers(-1, 2, w.shape) for w in model.get_weights()])
        return model
    randomize(model, seed=int(rng.integers(1 << 30)))
    return model if mode in FLOAT32 else _widened(model)


def _widened(model: Any) -> Any:
    from fastism_compiler.frontend.keras.float64 import float64_clone

    return float64_clone(model)


def _sequence_of(model: Any) -> str | int:
    return "seq" if len(model.inputs) > 1 else 0


def _nest(model: Any, x: dict[str, Array]) -> Any:
    return x if len(model.inputs) > 1 else x["seq"]


def _inputs(model: Any, rng: np.random.Generator, mode: str) -> dict[str, Array]:
    """Two sequences, the second with an N and a two-hot position; random numbers for other inputs."""
    whole = mode == "integers"
    found = {}
    for tensor in model.inputs:
        shape, dtype = (2, *tensor.shape[1:]), tensor.dtype
        if tensor.name != "seq":
            found[tensor.name] = rng.standard_normal(shape).astype(dtype)
        elif len(shape) == 2:
            found["seq"] = rng.integers(0, TOKENS, shape).astype(dtype)
        else:
            letters = np.eye(shape[2])[rng.integers(0, shape[2], shape[:2])]
            if mode != "special":  # in which references stay one-hot, and finite
                letters[1, shape[1] // 2], letters[1, -1] = 0, np.arange(shape[2]) < 2
            found["seq"] = (letters * (rng.integers(1, 3, (*shape[:2], 1)) if whole else 1)).astype(dtype)
    return found


def _replacement(x: Array, ranges: Any, rng: np.random.Generator, channels: list[int] | None, mode: str) -> list[Array]:
    """One array per range: random tokens, or random numbers (some zeros) for every channel that holds a letter."""
    if x.ndim == 2:
        return [rng.integers(0, TOKENS, hi - lo) for lo, hi in ranges]
    letters = len(channels) if channels else x.shape[2]
    shapes = [(hi - lo, letters) for lo, hi in ranges]
    if mode == "special":
        return [rng.random(shape) * rng.integers(0, 2) for shape in shapes]
    return [rng.integers(-2, 3, shape) if mode == "integers" else rng.random(shape) for shape in shapes]


def _flat(nest: Any) -> list[Array]:
    import keras

    return [np.asarray(y) for y in keras.tree.flatten(nest)]


def _naive(
    model: Any,
    x: dict[str, Array],
    ranges: Any,
    replacement: list[Array],
    channels: list[int] | None,
    *,
    predict: bool = False,
) -> list[Array]:
    """One call of the model, or of `model.predict`, with the mutants of every range."""
    count, batch = len(ranges), len(x["seq"])
    rows = {name: np.tile(v, (count, *[1] * (v.ndim - 1))) for name, v in x.items()}
    for r, ((lo, hi), letters) in enumerate(zip(ranges, replacement, strict=True)):
        rows["seq"][r * batch : (r + 1) * batch, lo:hi][(..., channels) if channels else ...] = letters
    inputs = _nest(model, rows)
    outputs = _flat(model.predict(inputs, batch_size=count * batch, verbose=0) if predict else model(inputs))
    return [y.reshape(count, batch, *y.shape[1:]).swapaxes(0, 1) for y in outputs]


def _compare(ours: list[Array], naive: list[Array], *, bits: bool) -> None:
    for y, z in zip(ours, naive, strict=True):
        if y.shape != z.shape:
            raise MismatchError(f"shape {y.shape}, expected {z.shape}")
        finite = np.isfinite(z)
        if not np.array_equal(np.isfinite(y), finite) or not np.array_equal(np.isnan(y), np.isnan(z)):
            raise MismatchError("non-finite values in other places")
        error = np.abs(y[finite] - z[finite]).max(initial=0)
        limit = 0 if bits else 1e-12 + TOLERANCE * np.abs(z[finite]).max(initial=0)
        if error > limit:
            raise MismatchError(f"error {error:.2e} above {limit:.2e}")


def _kinds(y: Array) -> Array:
    """0 for numbers; other codes for NaN, infinity, and minus infinity."""
    return np.where(np.isnan(y), 1, np.where(np.isinf(y), np.where(y > 0, 2, 3), 0))


def _judge(ours: list[Array], naive: list[Array], exact: list[Array]) -> None:
    """The float32 verdict, on predictions and on effects against the first range.

    Whether a sum near the largest float32 overflows depends on its order: a NaN that float64 has too is none of ours.
    """
    for y, z, e in zip(ours, naive, exact, strict=True):
        if y.shape != z.shape or ((_kinds(y) != _kinds(z)) & ~(np.isnan(y) & np.isnan(e))).any():
            raise MismatchError("another shape, or non-finite values in other places")
        for part in (lambda a: a, lambda a: a - a[:, :1]):
            finite = np.isfinite(y) & np.isfinite(z) & np.isfinite(e)
            a, b, c = (np.where(finite, part(np.where(finite, v, 0).astype(np.float64)), 0) for v in (y, z, e))
            error, naive_error = (float(np.sqrt(np.mean((v - c) ** 2))) for v in (a, b))
            effect = float(np.sqrt(np.mean((c - c.mean(axis=1, keepdims=True)) ** 2)))
            largest = float(np.abs(np.where(finite, e, 0)).max(initial=0))
            limit = max(3 * naive_error, 2e-5 * effect, 8 * float(np.finfo(np.float32).eps) * largest)
            if error > limit:
                raise MismatchError(f"float32 rmse {error:.2e} above {limit:.2e} (naive: {naive_error:.2e})")


def _check_no_effect(program: Any, model: Any, x: dict[str, Array], ranges: Any, channels: list[int] | None) -> None:
    """Replacing a sequence by itself has an effect of exactly 0."""
    sequence = x["seq"][..., channels] if channels else x["seq"]
    width = max(hi - lo for lo, hi in ranges)
    same = np.zeros((len(sequence), len(ranges), width, *sequence.shape[2:]), sequence.dtype)
    for r, (lo, hi) in enumerate(ranges):
        same[:, r, : hi - lo] = sequence[:, lo:hi]
    if any(np.any(np.nan_to_num(y)) for y in _flat(program(_nest(model, x), same, delta=True))):
        raise MismatchError("a replacement equal to the sequence has an effect")


def _check_order(
    program: Any, model: Any, x: dict[str, Array], replacement: list[Array], ours: list[Array], *, bits: bool
) -> None:
    """The last sequence alone scores as it did among the others."""
    alone = _flat(program(_nest(model, {k: v[-1:] for k, v in x.items()}), replacement))
    for y, z in zip(alone, ours, strict=True):
        finite = np.isfinite(z[-1:])
        limit = (
            0
            if bits
            else (1e-5 if z.dtype == np.float32 else TOLERANCE) * (1 + np.abs(z[np.isfinite(z)]).max(initial=0))
        )
        if np.abs(y[finite] - z[-1:][finite]).max(initial=0) > limit:
            raise MismatchError("a sequence scores differently on its own")


def _check_texts(program: Any, model: Any, replacement: list[Array], rng: np.random.Generator) -> None:
    """Texts score as the one-hot arrays that they stand for, where the model takes such."""
    shape = model.inputs[0].shape[1:]
    if len(model.inputs) > 1 or len(shape) != 2 or shape[1] != len(program.alphabet):
        return
    texts = ["".join(rng.choice([*program.alphabet, "N"], shape[0])) for _ in range(2)]
    one_hot = np.zeros((len(texts), *shape), model.inputs[0].dtype)
    one_hot[..., list(program.letters.numbers)] = fc.one_hot(texts, program.alphabet)  # letters are in these channels
    pairs = zip(_flat(program(texts, replacement)), _flat(program(one_hot, replacement)), strict=True)
    if not all(np.array_equal(y, z, equal_nan=True) for y, z in pairs):
        raise MismatchError("a text scores differently than its one-hot array")


def _check_pairs(program: Any, model: Any, x: dict[str, Array], rng: np.random.Generator, *, bits: bool) -> None:
    """Two substitutions score together as in the model itself: at the ends, or anywhere."""
    length = x["seq"].shape[1]
    if length < 2:
        return
    positions = [0, length - 1] if rng.integers(2) else sorted(rng.choice(length, 2, replace=False).tolist())
    ours, pairs = pair_effects(program, _nest(model, x), positions)
    tokens = x["seq"].ndim == 2
    letters, channels = (
        (program.letters.ids, None) if tokens else (np.eye(program.letters.count), program.letters.numbers)
    )
    naive = naive_pair_effects(lambda inputs: _flat(model(_nest(model, inputs))), x, pairs, letters, channels)
    _compare(ours, naive, bits=bits)


def _check_around(
    compiled: Callable[..., Any], x: Any, replacement: list[Array], whole: list[Array], reach: int, *, bits: bool
) -> None:
    """Outputs around each change are those of the whole output: one position per letter, from the first letter on."""
    places = [i for i, y in enumerate(whole) if y.ndim > 2]
    if not places:
        return
    program = compiled(outputs={i: fc.around(reach, stride=1, offset=0) for i in places})
    ranges = program.ranges
    frames = []
    for y in (whole[i] for i in places):
        frame = np.full((*y.shape[:2], ranges.max_width + 2 * reach, *y.shape[3:]), np.nan)
        for r, (lo, hi) in enumerate(zip(ranges.lo, ranges.hi, strict=True)):
            first, last = max(lo - reach, 0), min(hi + reach, y.shape[2])
            if first < last:
                frame[:, r, first - lo + reach : last - lo + reach] = y[:, r, first:last]
        frames.append(frame)
    _compare(_flat(program(x, replacement)), frames, bits=bits)
