"""The scan inside an artifact: any batch size, ranges of any width, NaN where only the model could tell."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastism_compiler.export.savedmodel import portable_of
from fastism_compiler.export.schedule import Schedule
from tests.export.programs import compiled, inputs_of, model_named, tiny

RANGES = [(0, 1), (3, 6), (4, 8), (8, 9), (2, 3), (1, 5)]
"""Buckets out of order, of equal and unequal widths, one at the edge."""
NAMES = ["conv_grouped_strided", "global_pools", "other_inputs_meet_first", "recurrent", "tokens_embedded", "u_net"]


def scanned(program: Any, x: Any, replacement: Any, **options: Any) -> list[Any]:
    portable = portable_of(program, jit=False, **options)
    types = program.inputs.types
    specs = [tf.TensorSpec(t.shape, t.dtype) for t in types]
    specs.append(tf.TensorSpec(replacement.shape, replacement.dtype))
    run = tf.function(lambda *a: portable.scan(list(a[:-1]), a[-1]), autograph=False, input_signature=specs)
    return [y.numpy() for y in run(*program.inputs.read(x), replacement)]


WHOLE = ["global_pools", "other_inputs_meet_first", "tokens_embedded"]


@pytest.mark.parametrize(("name", "whole"), [*((name, False) for name in NAMES), *((name, True) for name in WHOLE)])
def test_scan_equals_the_program(name: str, whole: bool) -> None:
    model = model_named(name)
    program = compiled(model, whole=whole, ranges=RANGES, jit=False)
    rng, type_ = np.random.default_rng(0), program.inputs.types[program.inputs.sequence]
    shape = (program.ranges.max_width, program.letters.columns)
    replacement = (rng.random(shape) if type_.rank == 3 else rng.integers(0, 3, shape)).astype(type_.dtype)
    replacement = replacement if type_.rank == 3 else replacement[:, 0]
    table = [replacement[:w] for w in program.ranges.widths]
    for batch in (1, 3):
        x = inputs_of(model, batch)
        for y, z in zip(scanned(program, x, replacement), keras.tree.flatten(program(x, table)), strict=True):
            assert y.shape == z.shape
            np.testing.assert_allclose(y, z, rtol=0, atol=1e-6 + 1e-5 * np.abs(z).max())


def test_where_nothing_changes_the_result_is_the_reference_bit_for_bit() -> None:
    model = tiny()
    program = compiled(model, jit=False)
    x = inputs_of(model, 2)
    portable = portable_of(program, jit=False)
    saturated = portable.saturate([tf.constant(x)])[0].numpy()
    reference = portable.reference([tf.constant(x)])[0].numpy()
    sequence, position, letter = np.nonzero(x * (x.sum(-1, keepdims=True) == 1))
    np.testing.assert_array_equal(saturated[sequence, position, letter], reference[sequence])


@pytest.mark.parametrize("groups", [[0], [0, 0, 0, 0, 0], [2, 0, 1, 0, 2, 2, 2, 2, 2, 2, 0]])
@pytest.mark.parametrize("most", [1, 4, 32])
def test_every_range_is_in_a_tile_of_its_group(groups: list[int], most: int) -> None:
    table = np.array(groups)
    schedule = Schedule.of(table, most, 8)
    for mutants in (1, 2, 3, 7, 100):
        cut = schedule.begin(tf.constant(mutants))
        tiles = [cut.ranges(tf.constant(i)).numpy() for i in range(int(cut.tiles))]
        assert all(len(set(table[t])) == 1 for t in tiles)
        assert all(len(t) * mutants <= most or len(t) == 1 for t in tiles)
        rows = np.concatenate(tiles)
        np.testing.assert_array_equal(rows[cut.slots().numpy()], np.arange(len(table)))


def test_whole_mutants_run_in_batches() -> None:
    """A program that leaves every mutant to the model puts many ranges into a tile; once each had its own."""
    portable = portable_of(compiled(tiny(), whole=True, jit=False), jit=False)
    assert all(schedule.per_tile[1] > 1 for schedule in portable._schedules)
