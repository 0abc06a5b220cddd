"""Outputs around the change: every frame is what the whole output has there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from fastism_compiler.ir import Section

import fastism_compiler as fc
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize
from tests.graphs import GRAPHS
from tests.programs import WHOLE, compile_tiles

L = keras.layers
LENGTH = 60
PLACES = {"cropped": (4, 1, 10), "strided": (1, 6, 0), "upsampled": (2, 1, 1)}
"""Per output: the reach that is asked for, letters per position, and letters in front of the first."""
MIXED = [(3, 4), (20, 23), (30, 31), (58, 60)]


@pytest.fixture(scope="module")
def model() -> Any:
    x = inputs = L.Input((LENGTH, 4))
    x = L.Conv1D(6, 5, padding="same", activation="relu")(x)
    for dilation in (1, 2, 4):
        y = L.Conv1D(6, 3, padding="same", dilation_rate=dilation, activation="gelu")(x)
        x = L.Add()([x, y])
    outputs = {
        "cropped": L.Conv1D(3, 1, activation="softmax")(L.Cropping1D(10)(x)),
        "strided": L.Conv1D(2, 3, strides=3)(L.MaxPooling1D(2)(x)),
        "upsampled": L.UpSampling1D(3)(L.Conv1D(2, 3, strides=3)(x)),
        "pooled": L.Dense(2)(L.GlobalAveragePooling1D()(x)),
    }
    return float64_clone(randomize(keras.Model(inputs, outputs)))


@pytest.fixture(scope="module")
def x() -> Any:
    return np.eye(4)[np.random.default_rng(0).integers(0, 4, (2, LENGTH))]


AROUND = {**{name: fc.around(reach) for name, (reach, _, _) in PLACES.items()}, "pooled": None}


def frame(y: Any, lo: int, hi: int, place: tuple[int, int, int], cover: int) -> Any:
    """`[..., width, C]` of `[..., positions, C]`, position by position."""
    reach, stride, offset = place
    first, last = (lo - offset) // stride - reach, (hi - 1 - offset) // stride + reach
    out = np.full((*y.shape[:-2], 1 - (1 - cover) // stride + 2 * reach, y.shape[-1]), np.nan)
    for k in range(out.shape[-2]):
        if 0 <= first + k < y.shape[-2] and first + k <= last:
            out[..., k, :] = y[..., first + k, :]
    return out


@pytest.mark.parametrize("ranges", [None, MIXED])
@pytest.mark.parametrize("pipeline", ["tiles", "whole"])
def test_frames_are_parts_of_the_whole(model: Any, x: Any, ranges: Any, pipeline: str) -> None:
    options = {"ranges": ranges, "jit": False, "verify": False}
    whole = compile_tiles(model, **options)
    made = compile_tiles if pipeline == "tiles" else lambda *a, **o: fc.compile(*a, pipeline=WHOLE, **o)
    around = made(model, outputs=AROUND, **options)
    assert around.plan.naive == (pipeline == "whole")
    every = whole.ranges
    calls = [lambda p, d: p(x, delta=d)] + ([lambda p, d: p.saturate(x, delta=d)] if ranges is None else [])
    for call in calls:
        for delta in (False, True):
            ours, theirs = call(around, delta), call(whole, delta)
            np.testing.assert_allclose(ours["pooled"], theirs["pooled"], atol=1e-12)
            for name, place in PLACES.items():
                pairs = [(theirs[name][:, r], every.lo[r], every.hi[r]) for r in range(every.count)]
                wanted = np.stack([frame(y, lo, hi, place, every.max_width) for y, lo, hi in pairs], axis=1)
                np.testing.assert_allclose(ours[name], wanted, atol=1e-12, err_msg=name)
    assert around.verify(x)
    streamed = [b.scores["cropped"] for b in around.stream(x)]
    np.testing.assert_array_equal(np.concatenate(streamed, axis=1), around(x)["cropped"])


def test_variants(model: Any, x: Any) -> None:
    listed = [(0, 5, "A"), (1, 59, "C"), (0, 20, "GATC"), (1, 0, "TT")]
    options = {"ranges": [(3, 4)], "jit": False, "verify": False}
    ours = compile_tiles(model, outputs=AROUND, **options).variants(x, listed, delta=True)
    theirs = compile_tiles(model, **options).variants(x, listed, delta=True)
    for name, place in PLACES.items():
        wanted = [frame(theirs[name][k], p, p + len(alt), place, 4) for k, (_, p, alt) in enumerate(listed)]
        np.testing.assert_allclose(ours[name], np.stack(wanted), atol=1e-12, err_msg=name)


def test_what_lies_further_away_is_not_computed(model: Any) -> None:
    """The last windows are as wide as the frame, not as everything that a change reaches."""
    options = {"ranges": [(30, 31)], "jit": False, "verify": False}
    for outputs, widths in (({"cropped": fc.around(1)}, [5, 7, 11, 3, 3]), ({"cropped": None}, [5, 7, 11, 19, 19])):
        graph = compile_tiles(model, outputs=outputs, **options).graph
        made = [n for n in graph.nodes(Section.REFERENCE) if n.op == "conv" and n.has_window]
        assert [n.window.ranges.max_width for n in made] == widths


def test_a_doubtful_row_is_scored_by_the_model() -> None:
    inputs = L.Input((20, 4))
    y = L.Conv1D(2, 3, padding="same")(inputs)
    model = randomize(keras.Model(inputs, L.Lambda(lambda v: keras.ops.exp(60.0 * v))(y)))
    x = np.eye(4, dtype="float32")[np.random.default_rng(1).integers(0, 4, (1, 20))]
    options = {"jit": False, "verify": False}
    program = compile_tiles(model, outputs={0: fc.around(1)}, **options)
    whole = compile_tiles(model, **options)(x)
    wanted = np.stack([frame(whole[:, r], r, r + 1, (1, 1, 0), 1) for r in range(20)], axis=1)
    np.testing.assert_allclose(program(x), wanted, rtol=1e-4)


@pytest.mark.parametrize("name", ["u_net", "attention", "reverse_complement"])
def test_models_of_other_kinds(name: str) -> None:
    """What follows positions in part, or backwards: either right, or the option says what it needs."""
    model = float64_clone(randomize(GRAPHS[name]()))
    length = model.inputs[0].shape[1]
    outputs = [i for i, y in enumerate(model.outputs) if len(y.shape) == 3]
    x = np.eye(4)[np.random.default_rng(0).integers(0, 4, (2, length))]
    for number in outputs:
        options = {"jit": False, "verify": False}
        try:
            around = compile_tiles(model, outputs={number: fc.around(2)}, **options)
        except fc.OptionError as error:
            assert "letters per position" in str(error)
            around = compile_tiles(model, outputs={number: fc.around(2, stride=1, offset=0)}, **options)
        whole = compile_tiles(model, outputs={number: None}, **options)(x)
        attrs = next(n.attrs for n in around.graph if n.op == "around")
        place = (2, attrs["stride"], attrs["offset"])
        wanted = np.stack([frame(whole[:, r], r, r + 1, place, 1) for r in range(length)], axis=1)
        np.testing.assert_allclose(around(x), wanted, atol=1e-9)


def test_places_that_are_not_one_letters(x: Any) -> None:
    """A position of a concatenation belongs to one part or the other; so the option asks."""
    inputs = L.Input((LENGTH, 4))
    y = L.Concatenate(axis=1)([L.Conv1D(2, 3)(inputs), L.Conv1D(2, 5)(inputs)])
    model = float64_clone(randomize(keras.Model(inputs, y)))
    with pytest.raises(fc.OptionError, match="letters per position"):
        fc.compile(model, outputs={0: fc.around(2)})
    across = float64_clone(randomize(keras.Model(inputs, L.Permute((2, 1))(L.Conv1D(2, 3)(inputs)))))
    with pytest.raises(fc.PassError, match="axis 1 of an output"):
        fc.compile(across, outputs={0: fc.around(2, stride=1, offset=0)})


def test_memory_counts_frames_as_wide_as_they_are(model: Any) -> None:
    program = fc.compile(model, ranges=[(3, 23)], outputs={"cropped": fc.around(4)}, jit=False, verify=False)
    assert program.selection.samples[0].shape == (1, 28, 3)


def test_what_around_cannot_do(model: Any, x: Any, tmp_path: Path) -> None:
    options = {"jit": False, "verify": False}
    with pytest.raises(fc.OptionError, match="letters a position"):
        fc.compile(model, outputs={"pooled": fc.around(3)}, **options)
    with pytest.raises(fc.OptionError, match="reduce= takes whole outputs"):
        fc.compile(model, outputs={"cropped": fc.around(3)}, reduce=lambda y: y["cropped"], **options)
    for arguments in ((-1,), (1, 0), (1, 1, -1)):
        with pytest.raises(fc.OptionError):
            fc.around(*arguments)
    program = fc.compile(model, outputs={"cropped": fc.around(3)}, **options)
    with pytest.raises(fc.OptionError, match="windows already"):
        program(x, sparse=True)
    with pytest.raises(fc.UnsupportedError, match="returns whole outputs"):
        program.export(tmp_path / "p.ism", format="ism")
    with pytest.raises(fc.UnsupportedError, match="returns whole outputs"):
        program.to_keras_layer()
