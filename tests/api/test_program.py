"""The contract of the compile API: every form of call, against the independent oracle."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize
from tests.api.models import LENGTH, model64
from tests.export.programs import compiled
from tests.graphs import GRAPHS
from tests.oracle import as_model_takes, assert_close, make_inputs, naive_scan
from tests.programs import compile_tiles

L = keras.layers


def check(model: Any, ranges: list[tuple[int, int]], *replacements: tuple[Any, Callable[[int], Any]]) -> None:
    """One program, called with each replacement; beside it, what it says of a range."""
    inputs = make_inputs(model, 3, "float64")
    program = compile_tiles(model, seq_input="seq", ranges=ranges, jit=False, verify=False)
    for replace_with, per_range in replacements:
        ours = program(as_model_takes(model, inputs), replace_with)
        assert_close(ours, naive_scan(model, inputs, ranges, per_range), atol=1e-12, rtol=1e-9)


RANGES = [(4, 9), (0, 5), (18, 23), (6, 11), (6, 11)]
RNG = np.random.default_rng(3)


@pytest.mark.parametrize("name", ["batch_norm_orders", "residual_tower", "max_pool_same_odd", "attention"])
def test_every_form_of_replacement(name: str) -> None:
    model = model64(name)
    ranges = RANGES
    count, width = len(ranges), 5
    letter, window = RNG.random(4), RNG.random((width, 4))
    per_range, everything = RNG.random((count, width, 4)), RNG.random((3, count, width, 4))
    check(
        model,
        ranges,
        (0, lambda r: 0),
        (0.25, lambda r: 0.25),
        (letter, lambda r: letter),
        (window, lambda r: window),
        (per_range, lambda r: per_range[r]),
        (everything, lambda r: everything[:, r]),
        (list(per_range), lambda r: per_range[r]),
    )


@pytest.mark.parametrize("name", ["batch_norm_orders", "cropped_residuals", "avg_pool_overlapping"])
def test_ranges_of_unequal_width(name: str) -> None:
    model = model64(name)
    ranges = [(3, 4), (0, 23), (20, 23), (5, 7), (1, 14), (22, 23)]
    pieces = [RNG.random((hi - lo, 4)) for lo, hi in ranges]
    check(model, ranges, (pieces, lambda r: pieces[r]), (0, lambda r: 0))


@pytest.mark.parametrize("ranges", [[(0, 23)], [(22, 23)], [(0, 1)], [(11, 17)]])
def test_a_single_range(ranges: list[tuple[int, int]]) -> None:
    check(model64(), ranges, (0, lambda r: 0))


@pytest.fixture(scope="module")
def of_batch_size() -> Callable[[int | None], Any]:
    """A model and its program by batch size."""
    model = model64()
    return cache(lambda batch_size: (model, fc.compile(model, batch_size=batch_size, jit=False, verify=False)))


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [1, 2, 4, None])
def test_any_number_of_sequences(batch: int, batch_size: int | None, of_batch_size: Any) -> None:
    model, program = of_batch_size(batch_size)
    inputs = make_inputs(model, batch, "float64")
    naive = naive_scan(model, inputs, [(i, i + 1) for i in range(LENGTH)], lambda r: 0)
    assert_close(program(inputs["seq"]), naive, atol=1e-12, rtol=1e-9)


def test_delta_is_mutant_minus_reference() -> None:
    model = model64("several_outputs")
    inputs = make_inputs(model, 2, "float64")
    program = fc.compile(model, jit=False, verify=False)
    scores, effects, reference = (
        program(inputs["seq"]),
        program(inputs["seq"], delta=True),
        program.reference(inputs["seq"]),
    )
    assert set(effects) == {"profile", "count"}
    for key in effects:
        np.testing.assert_allclose(effects[key], scores[key] - reference[key][:, None], atol=1e-12)


def test_equal_replacement_has_exactly_no_effect() -> None:
    model = randomize(GRAPHS["residual_tower"]())
    x = make_inputs(model, 2)["seq"]
    program = fc.compile(model, verify=False)
    same = x[:, :, None]  # [B, R, w, C]: every position replaced by itself
    for y, reference in zip(program(x, same), program.reference(x), strict=True):
        np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
        np.testing.assert_allclose(y[:, 0], reference, rtol=1e-5, atol=1e-6)
    for effect in program(x, same, delta=True):
        assert not effect.any()


def test_saturate() -> None:
    model = model64("several_outputs")
    x = make_inputs(model, 3, "float64")["seq"]  # has an N and a two-hot position
    program = fc.compile(model, jit=False, verify=False)
    everywhere = [(i, i + 1) for i in range(LENGTH)]
    letters = [naive_scan(model, {"seq": x}, everywhere, lambda r, c=c: np.eye(4)[c]) for c in range(4)]
    assert_close(program.saturate(x), [np.stack(k, axis=2) for k in zip(*letters, strict=True)], atol=1e-12, rtol=1e-9)
    effects = keras.tree.flatten(program.saturate(x, delta=True))
    unchanged = (x == 1) & (x.sum(-1, keepdims=True) == 1)
    for effect in effects:
        assert not effect[unchanged].any()


def test_saturate_where_every_letter_is_there_already() -> None:
    model = model64()
    x = np.zeros((2, LENGTH, 4))
    x[..., 0] = 1
    for whole in (False, True):
        program = compiled(model, whole=whole, channels=[0], alphabet="A", jit=False)
        scores, effects = program.saturate(x), program.saturate(x, delta=True)
        np.testing.assert_allclose(scores[:, 7, 0], model(x), rtol=1e-9)
        assert effects.shape == scores.shape and not effects.any()


def test_saturate_some_ranges_only() -> None:
    model = model64()
    x = make_inputs(model, 2, "float64")["seq"]
    everywhere = fc.compile(model, jit=False, verify=False).saturate(x)
    some = fc.compile(model, ranges=[(7, 8), (2, 3)], jit=False, verify=False).saturate(x)
    np.testing.assert_allclose(some, everywhere[:, [7, 2]], rtol=1e-9)


def test_saturate_needs_single_letters() -> None:
    program = fc.compile(model64(), ranges=[(0, 2)], jit=False, verify=False)
    with pytest.raises(fc.RangeError, match="single letters"):
        program.saturate(np.zeros((1, LENGTH, 4)))


def test_fixed_channels_are_never_touched() -> None:
    inputs = L.Input((15, 6))
    model = float64_clone(
        randomize(keras.Model(inputs, L.Dense(2)(L.Flatten()(L.Conv1D(3, 4, activation="relu")(inputs)))))
    )
    x = np.random.default_rng(0).random((2, 15, 6))
    program = fc.compile(model, channels=[4, 0, 2, 1], jit=False)
    scores = program.saturate(x)
    mutant = x.copy()
    mutant[:, 7, [4, 0, 2, 1]] = [0, 1, 0, 0]
    np.testing.assert_allclose(scores[:, 7, 1], model(mutant), rtol=1e-9)
    for bad in ([], [0, 0], [6], [-1]):
        with pytest.raises(fc.OptionError, match="distinct channel numbers"):
            fc.compile(model, channels=bad, verify=False)


def test_open_length() -> None:
    inputs = L.Input((None, 4))
    model = randomize(keras.Model(inputs, L.GlobalMaxPooling1D()(L.Conv1D(3, 4, activation="relu")(inputs))))
    with pytest.raises(fc.UnsupportedError, match="length=N"):
        fc.compile(model)
    program = fc.compile(model, length=19)
    assert program(np.zeros((2, 19, 4))).shape == (2, 19, 3)


def test_a_subclassed_model_is_traced() -> None:
    class Sub(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.pool, self.head = L.Conv1D(4, 5, padding="same"), L.MaxPooling1D(2), L.Dense(2)

        def call(self, x: Any, training: bool = False) -> Any:
            y = keras.ops.relu(self.conv(x)) if not training else x
            return {"score": self.head(L.Flatten()(self.pool(y))), "track": y}

    model = Sub()
    x = np.eye(4, dtype="float32")[np.random.default_rng(0).integers(0, 4, (2, LENGTH))]
    model(x)
    randomize(model)
    program = fc.compile(model, jit=False)
    assert program.plan.stops == ()
    naive = [{k: np.asarray(v) for k, v in model(_zeroed(x, i)).items()} for i in range(LENGTH)]
    scores = program(x)
    for key in ("score", "track"):
        expected = np.stack([n[key] for n in naive], axis=1)
        np.testing.assert_allclose(scores[key], expected, atol=1e-5)


def _zeroed(x: np.ndarray[Any, Any], position: int) -> np.ndarray[Any, Any]:
    y = x.copy()
    y[:, position] = 0
    return y


def test_weights_are_read_live() -> None:
    model = randomize(GRAPHS["batch_norm_orders"]())
    x = make_inputs(model, 2)["seq"]
    program = fc.compile(model, verify=False)
    before = program(x)
    randomize(model, seed=7)
    after = program(x)
    assert np.abs(after - before).max() > 1e-3
    assert_close(after, naive_scan(model, {"seq": x}, [(i, i + 1) for i in range(LENGTH)], lambda r: 0))


def test_inputs_of_every_kind() -> None:
    model = randomize(GRAPHS["other_input_per_position"]())
    inputs = make_inputs(model, 2)
    program = fc.compile(model, seq_input="seq", jit=False, verify=False)
    expected = program(inputs)
    tensors = {k: keras.ops.convert_to_tensor(v) for k, v in inputs.items()}
    np.testing.assert_array_equal(program(tensors), expected)
    np.testing.assert_array_equal(program({k: v.astype("float64") for k, v in inputs.items()}), expected)
    single = randomize(GRAPHS["sequential"]())
    x = make_inputs(single, 2)["seq"]
    program = fc.compile(single, jit=False, verify=False)
    for other in (x.astype(bool), x.astype("int8"), [x], {single.inputs[0].name: x}):
        np.testing.assert_array_equal(program(other), program((x > 0).astype("float32") if other is not x else x))


def test_compilations_do_not_grow() -> None:
    """A scan, a saturation, effects, other replacements, fewer sequences, and variants: the same two functions."""
    model = randomize(GRAPHS["batch_norm_orders"]())
    program = fc.compile(model, batch_size=4, jit=False, verify=False)
    (engine,) = program.engines
    x = make_inputs(model, 4)["seq"]
    program(x)
    assert len(engine.functions) == 2, "a reference pass, and a loop over tiles"
    program(np.concatenate([x, x, x]))
    program(x, np.random.default_rng(0).random((4, LENGTH, 1, 4)))
    program(x, delta=True)
    program(x[:3])
    program.saturate(x)
    program.saturate(np.concatenate([x, x]), delta=True)
    for n in (1, 2, 3, 7):
        program.variants(x, [(i % 4, i, "A") for i in range(n)])
    assert len(engine.functions) == 2


def test_several_threads() -> None:
    model = randomize(GRAPHS["batch_norm_orders"]())
    program = fc.compile(model, verify=False)
    x = make_inputs(model, 2)["seq"]
    results: list[Any] = [None] * 4

    def score(i: int) -> None:
        results[i] = program(x)

    threads = [threading.Thread(target=score, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for r in results[1:]:
        np.testing.assert_array_equal(r, results[0])


def test_model_files(tmp_path: Any) -> None:
    model = randomize(GRAPHS["global_pools"]())
    x = make_inputs(model, 1)["seq"]
    expected = fc.compile(model, jit=False, verify=False)(x)
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        scores = fc.compile(tmp_path / name, jit=False, verify=False)(x)
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)
    (tmp_path / "broken.keras").write_bytes(b"not a model")
    for bad in ("missing.keras", "broken.keras"):
        with pytest.raises(fc.ModelError):
            fc.compile(tmp_path / bad)


def test_a_cast_to_fewer_digits_is_made() -> None:
    """In a graph, in a layer's call and in a reduction; behind it, everything is computed whole."""
    x = L.Input((20, 4), name="seq")
    y = L.Conv1D(3, 5)(x)
    rounded = keras.ops.cast(keras.ops.cast(y, "bfloat16"), "float32")
    for model, reduce in (
        (keras.Model(x, L.GlobalMaxPooling1D()(rounded)), None),
        (keras.Model(x, L.GlobalMaxPooling1D()(Rounded()(y))), None),
        (keras.Model(x, L.GlobalMaxPooling1D()(y)), lambda y: keras.ops.cast(y, "bfloat16")),
    ):
        randomize(model)
        program = fc.compile(model, reduce=reduce)
        inputs = make_inputs(model, 1)
        exact = naive_scan(model, inputs, [(3, 4)], lambda r: 0)[0]
        exact = exact if reduce is None else keras.ops.convert_to_numpy(keras.ops.cast(reduce(exact), "float32"))
        np.testing.assert_allclose(np.asarray(program(inputs["seq"]), np.float32)[:, 3:4], exact, rtol=1e-5, atol=1e-6)


@keras.saving.register_keras_serializable()
class Rounded(L.Layer):
    """Rounds to bfloat16."""

    def call(self, x: Any) -> Any:
        return keras.ops.cast(keras.ops.cast(x, "bfloat16"), "float32")


def test_narrow_layers_are_noted_wherever_they_are() -> None:
    x = L.Input((20, 4), name="seq")
    y = L.Conv1D(3, 5)(x)
    nested = keras.Sequential([L.Input((3,)), L.Dense(2, dtype="bfloat16")])
    program = fc.compile(keras.Model(x, nested(L.GlobalMaxPooling1D()(y))), verify=False)
    assert "bfloat16 layers compute in float32; outputs are cast back" in program.plan.notes


def test_mixed_precision_computes_in_float32() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = randomize(GRAPHS["batch_norm_orders"]())
    finally:
        keras.config.set_dtype_policy("float32")
    x = make_inputs(model, 2)["seq"]
    program = fc.compile(model, verify=False)
    exact = float64_clone(model)
    scores = program(x)
    assert str(scores.dtype) == str(model.outputs[0].dtype)
    assert any("float32" in n for n in program.plan.notes)
    naive = naive_scan(exact, {"seq": x.astype("float64")}, [(i, i + 1) for i in range(LENGTH)], lambda r: 0)[0]
    np.testing.assert_allclose(scores.astype("float64"), naive, atol=4e-3)


def test_the_plan_shows_the_widest_ranges_whatever_program_they_are_in() -> None:
    x = L.Input((200, 4))
    model = keras.Model(x, L.GlobalMaxPooling1D()(L.Conv1D(8, 5)(x)))
    both, wide, narrow = (
        compiled(model, ranges=ranges, jit=False).plan
        for ranges in ([(50, 100), (118, 121)], [(50, 100)], [(118, 121)])
    )
    assert both.layers[0].window == wide.layers[0].window == 54
    assert both.layers[0].ours == pytest.approx((wide.layers[0].ours + narrow.layers[0].ours) / 2)
    assert both.multiply_adds == pytest.approx(sum(layer.ours for layer in both.layers))


def test_plan_and_graph_describe_the_program() -> None:
    program = fc.compile(randomize(GRAPHS["attention"]()), verify=False)
    plan = program.plan
    text = str(plan)
    for part in ("conv1d", "attention", "recomputed from multi_head_attention", "less arithmetic", "MiB"):
        assert part in text
    assert plan.stops[0][0].startswith("multi_head_attention")
    assert plan.less_arithmetic > 1
    assert plan.speed_up > 0
    assert program.text() == fc.ir.to_text(program.graph)
    assert str(program.graph) == program.text()
    assert program.graph.to_dot().startswith("digraph")
    assert "CompiledISM" in repr(program)
    assert callable(program.function)


def test_a_small_memory_budget_makes_small_blocks_or_an_error() -> None:
    model = randomize(GRAPHS["batch_norm_orders"]())
    large = fc.compile(model, verify=False)
    budget = large.plan.bytes // 3
    small = fc.compile(model, memory_budget=f"{budget} B", verify=False)
    assert small.batch_size < large.batch_size
    assert small.plan.bytes <= budget
    with pytest.raises(fc.MemoryBudgetError, match="at least"):
        fc.compile(model, memory_budget=1000, verify=False)
    for bad in ("much", "3 parsecs", -1, 0):
        with pytest.raises(fc.OptionError, match="memory_budget"):
            fc.compile(model, memory_budget=bad, verify=False)


def test_many_programs_are_no_retracing(caplog: pytest.LogCaptureFixture) -> None:
    """TensorFlow counts functions by their code, which all programs share."""
    logger = logging.getLogger("tensorflow")
    logger.addHandler(caplog.handler)
    x = keras.Input((6, 4))
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    for first in range(6):
        fc.compile(model, ranges=[(first, 6)], jit=False)
    logger.removeHandler(caplog.handler)
    assert "retracing" not in caplog.text


def test_notebooks_show_plans_and_reports() -> None:
    x = keras.Input((8, 4))
    model = keras.Model(x, keras.layers.Conv1D(3, 3, name="a.b>c")(x))
    program = fc.compile(model, jit=False, verify=False)
    plan, report = program.plan._repr_html_(), program.verify()._repr_html_()
    assert "<td>a.b&gt;c</td>" in plan and "multiply-adds per mutation" in plan
    assert "<td>ok</td>" in report and "compared 8 ranges" in report
