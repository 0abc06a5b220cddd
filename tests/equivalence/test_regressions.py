"""The smallest model of every bug that was found, against naive ISM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize
from tests.oracle import assert_close, make_inputs, naive_scan
from tests.programs import compile_tiles

L = keras.layers
ops = keras.ops


def model(build: Callable[[Any], Any], length: int, double: bool = True) -> Any:
    x = L.Input((length, 4), name="seq")
    m = randomize(keras.Model(x, build(x)))
    return float64_clone(m) if double else m


def check(m: Any, ranges: Any = None, pieces: Any = None, **options: Any) -> Any:
    length = m.inputs[0].shape[1]
    x = make_inputs(m, 2, "float64")["seq"]
    ranges = ranges or [(i, i + 1) for i in range(length)]
    program = compile_tiles(m, ranges=ranges, jit=False, verify=False, **options)
    naive = naive_scan(m, {"seq": x}, ranges, (lambda r: 0) if pieces is None else (lambda r: pieces[r]))
    assert_close(program(x, 0 if pieces is None else pieces), naive, atol=1e-12, rtol=1e-9)
    return program


def head(x: Any) -> Any:
    return L.Dense(2)(L.Flatten()(x))


def test_unequal_ranges_of_one_bucket_at_the_right_edge() -> None:
    rng = np.random.default_rng(0)
    ranges = [(6, 12), (7, 12), (2, 7)]
    pieces = [rng.random((hi - lo, 4)) for lo, hi in ranges]
    check(model(L.Conv1D(2, 3), 12), ranges, pieces)


def test_verification_sees_a_shifted_replacement(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastism_compiler.runtime import blocks

    monkeypatch.setattr(blocks, "_on_carrier", lambda replacement, *rest: np.roll(replacement, 1, axis=1))
    with pytest.raises(fc.VerificationError):
        compile_tiles(model(L.Conv1D(2, 3), 12), ranges=[(2, 6)], jit=False)


@pytest.mark.parametrize(
    ("build", "length", "ranges"),
    [
        (lambda x: L.Concatenate()([x, L.Cropping1D((0, 10))(L.ZeroPadding1D((10, 0))(x))]), 20, [(19, 20)]),
        (lambda x: L.Concatenate()([L.Conv1D(4, 4, dilation_rate=5)(x), L.Cropping1D((12, 3))(x)]), 26, [(0, 4)]),
    ],
)
def test_joined_windows_that_do_not_touch(build: Any, length: int, ranges: Any) -> None:
    check(model(build, length), ranges)


@pytest.mark.parametrize(
    "build",
    [
        lambda x: head(L.MaxPooling1D(2, strides=6)(x)),
        lambda x: L.Conv1D(2, 2, padding="same")(ops.tanh(L.Conv1D(2, 1, strides=6)(x))),
    ],
)
@pytest.mark.parametrize("ranges", [[(3, 4)], [(3, 4), (4, 5)]])
def test_ranges_that_a_stride_never_reads(build: Any, ranges: Any) -> None:
    check(model(build, 27), ranges)


@pytest.mark.parametrize("cut", [L.ZeroPadding1D(2), L.MaxPooling1D(2), L.Cropping1D((1, 0))])
def test_starts_that_are_no_multiple_of_an_earlier_stride(cut: Any) -> None:
    def build(x: Any) -> Any:
        return head(cut(L.UpSampling1D(3)(L.Conv1D(1, 3, padding="same", activation="relu")(x))))

    check(model(build, 25))


def test_a_single_position_squared() -> None:
    check(model(lambda x: head(ops.square(L.Conv1D(4, 8)(x))), 8))


@pytest.mark.parametrize(
    "build",
    [
        lambda x: L.GlobalMaxPooling1D(data_format="channels_first")(x * 2.0),
        lambda x: ops.max(L.Conv1D(3, 3)(x), axis=-1),
        lambda x: L.GlobalMaxPooling1D()(ops.roll(x, 1, axis=1)),
        lambda x: ops.logsumexp(L.Conv1D(3, 3)(x), axis=1),
        lambda x: ops.logsumexp(L.Conv1D(3, 3)(x), axis=(1, 2), keepdims=True),
    ],
)
def test_reductions_over_every_axis(build: Any) -> None:
    check(model(build, 11))


@pytest.mark.parametrize(
    "build",
    [
        lambda x: L.GlobalAveragePooling1D()(L.Masking(0.0)(x)),
        lambda x: L.LSTM(2)(L.Masking(0.0)(x)),
        lambda x: ops.cast(L.Conv1D(2, 3)(x) > 0, "float64"),
        lambda x: ops.where(x > 0.5, x * 2.0, x - 1.0),
        lambda x: ops.cast(ops.any(L.Conv1D(2, 3)(x) > 0, axis=1), "float64"),
    ],
)
def test_masks_and_comparisons(build: Any) -> None:
    check(model(build, 11))


def test_global_maximum_of_nothing_but_minus_infinity() -> None:
    m = model(lambda x: L.GlobalMaxPooling1D()(ops.log(ops.sum(x, axis=-1, keepdims=True))), 5, double=False)
    program = compile_tiles(m, ranges=[(0, 5)], jit=False, verify=False)
    assert np.isneginf(program(make_inputs(m, 1)["seq"])).all()


def test_rescaling_by_channel() -> None:
    check(model(lambda x: head(L.Rescaling(1 / 255.0, offset=[0.1, 0.2, 0.3, 0.4])(x)), 9))


def test_stopping_at_a_layer_that_does_nothing() -> None:
    m = model(lambda x: head(L.Activation("linear", name="nothing")(L.Conv1D(2, 3)(x))), 9)
    assert check(m, stop_at="nothing").plan.stops == (("nothing", "the layer is named in stop_at"),)


@pytest.mark.parametrize("times", [2, 3, 4])
def test_a_value_added_to_itself(times: int) -> None:
    check(model(lambda x: L.GlobalMaxPooling1D()(L.Add()([L.LayerNormalization()(x)] * times)), 5), [(0, 1)])


def test_constants_keep_float64() -> None:
    check(model(lambda x: head(ops.clip(x * 0.2 + 0.1, 0.13, 0.27)), 9))


def test_a_huge_reference_beside_a_position_that_stays_huge() -> None:
    x = L.Input((12, 4), name="seq")
    e = ops.exp(L.Conv1D(1, 1, use_bias=False, name="gain")(x))
    y = ops.log(ops.abs(L.Conv1D(1, 2, padding="same", use_bias=False, name="own")(e)) + 1e-3)
    m = keras.Model(x, y)
    m.get_layer("gain").set_weights([np.full((1, 4, 1), 25.0)])
    m.get_layer("own").set_weights([np.array([1.0, 0.0]).reshape(2, 1, 1)])
    letters = np.eye(4, dtype="float32")[np.zeros((1, 12), int)]
    program = compile_tiles(m, jit=False, verify=False)
    naive = naive_scan(m, {"seq": letters}, [(i, i + 1) for i in range(12)], lambda r: 0)
    assert_close(program(letters), naive)
    assert program.rescored > 0


@pytest.mark.parametrize("shape", [(), (2,)])
def test_an_integer_input_in_front_of_the_sequence(shape: tuple[int, ...]) -> None:
    number, x = L.Input(shape, dtype="int32", name="number"), L.Input((12, 4), name="seq")
    y = L.Flatten()(L.Conv1D(3, 3, activation="relu")(x))
    m = randomize(keras.Model([number, x], L.Dense(2)(L.Concatenate()([y, L.Flatten()(L.Embedding(5, 4)(number))]))))
    program = compile_tiles(m, seq_input="seq", jit=False)  # verified with a random replacement
    inputs = {"number": np.ones((2, *shape), "int32"), "seq": make_inputs(m, 2)["seq"]}
    naive = naive_scan(m, inputs, [(i, i + 1) for i in range(12)], lambda r: 0.5)
    assert_close(program([inputs["number"], inputs["seq"]], 0.5), naive)


def test_bidirectional_turns_its_second_result_round_whatever_its_direction() -> None:
    def build(x: Any) -> Any:
        forward = L.GRU(2, return_sequences=True, go_backwards=True)
        return L.Bidirectional(forward, backward_layer=L.GRU(2, return_sequences=True))(x)

    check(model(build, 7))


@pytest.mark.parametrize(
    "build",
    [
        lambda x: head(L.Flatten()(x[:, :, :, None])),
        lambda x: L.GlobalMaxPooling1D()(ops.cast(ops.concatenate([x > 0.5, x < 0.2], -1), "float64")),
        lambda x: L.GlobalMaxPooling1D()(ops.cast(ops.flip(ops.reshape(x > 0.5, (-1, 9, 4)), 1), "float64")),
        lambda x: ops.cast(ops.sum(x > 0.5, axis=1), "float64") + ops.cast(ops.max(x > 0.5, axis=1), "float64"),
        lambda x: ops.cast(ops.max(ops.cast(x * 9, "int32"), axis=1), "float64"),
        lambda x: x[:, 3:3],
    ],
)
def test_truth_values_integers_new_axes_and_nothing(build: Callable[[Any], Any]) -> None:
    check(model(build, 9))


@pytest.mark.parametrize("dtype", ["int16", "uint16", "float32"])
def test_one_hot_of_any_number(dtype: str) -> None:
    tokens = L.Input((9,), dtype=dtype, name="seq")
    m = float64_clone(randomize(keras.Model(tokens, head(L.Conv1D(3, 3)(ops.one_hot(tokens, 5))))))
    x = np.random.default_rng(0).integers(0, 5, (2, 9)).astype(m.inputs[0].dtype)
    naive = naive_scan(m, {"seq": x}, [(i, i + 1) for i in range(9)], lambda r: 3)
    assert_close(compile_tiles(m, jit=False, verify=False)(x, 3), naive, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize(
    "read", [lambda i: i[:, ::-1], lambda i: i[:, 2:], lambda i: ops.maximum(i, 1), lambda i: ops.where(i > 2, 0, i)]
)
def test_tokens_read_through_other_ops(read: Callable[[Any], Any]) -> None:
    tokens = L.Input((9,), dtype="int32", name="seq")
    m = float64_clone(randomize(keras.Model(tokens, head(L.Conv1D(3, 3)(L.Embedding(5, 4)(read(tokens)))))))
    x = np.random.default_rng(0).integers(0, 5, (2, 9))
    naive = naive_scan(m, {"seq": x}, [(i, i + 1) for i in range(9)], lambda r: 4)
    assert_close(compile_tiles(m, jit=False, verify=False)(x, 4), naive, atol=1e-12, rtol=1e-9)


def test_outputs_of_a_nested_structure_are_numbered() -> None:
    x = L.Input((6, 4))
    m = keras.Model(x, {"a": [L.Dense(2)(x), L.Dense(3)(x)], "b": L.Dense(5, name="last")(x)})
    with pytest.raises(fc.OptionError, match="no such output"):
        fc.compile(m, outputs={"b": None})
    scores = compile_tiles(m, outputs={"last": None}, jit=False)(np.zeros((1, 6, 4)))
    assert scores.shape == (1, 6, 6, 5)


@pytest.mark.parametrize(("outputs", "rule"), [({0: ([0, 1], [0, 1])}, "one list"), ({"p": 1, 0: 0}, "selected once")])
def test_ambiguous_selections_are_refused(outputs: Any, rule: str) -> None:
    x = L.Input((6, 4))
    with pytest.raises(fc.OptionError, match=rule):
        fc.compile(keras.Model(x, L.Dense(3, name="p")(x)), outputs=outputs)


def test_float64_is_kept_from_xla() -> None:
    # jitted, this model gave other numbers on every second call
    m = model(lambda x: head(L.Conv1D(2, 3, padding="same", strides=2, groups=2)(x)), 12)
    x = make_inputs(m, 2, "float64")["seq"]
    program = compile_tiles(m, ranges=[(0, 2)], verify=False)
    naive = naive_scan(m, {"seq": x}, [(0, 2)], lambda r: 0)
    for _ in range(5):
        assert_close(program(x), naive, atol=1e-12, rtol=1e-9)
    assert "without XLA" in str(program.plan)


@pytest.mark.parametrize("channels", [[3, 2, 1, 0], [1, 0, 2, 3], [2, 0]])
def test_letters_in_another_order_than_their_channels(channels: list[int]) -> None:
    """A replacement is spelt in the order of `channels`; all of them, reordered, once were taken in order."""
    inputs = keras.Input((15, 4))
    model = randomize(keras.Model(inputs, keras.layers.Conv1D(3, 5, padding="same", activation="relu")(inputs)))
    x = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (2, 15))]
    program = compile_tiles(model, channels=channels, alphabet="ACGT"[: len(channels)], verify=False)
    scores = program.saturate(x)
    for letter, channel in enumerate(channels):
        mutants = np.repeat(x[:, None], 15, axis=1)
        for position in range(15):
            mutants[:, position, position, channels] = 0
            mutants[:, position, position, channel] = 1
        expected = model.predict(mutants.reshape(-1, 15, 4), verbose=0).reshape(2, 15, 15, 3)
        np.testing.assert_allclose(scores[:, :, letter], expected, atol=1e-5)


def test_many_ranges_through_an_average_pool() -> None:
    """From 64 ranges on, the compiler asks what a scan costs; sums, which have no weights, once crashed it."""
    x = keras.Input((90, 4))
    m = randomize(keras.Model(x, head(L.AveragePooling1D(3)(L.Conv1D(4, 5, activation="relu")(x)))))
    program = compile_tiles(m, verify=False)
    assert program.verify(ranges=90)


def _scaled(base: Any, *parts: Any) -> Any:
    """A model whose `call` does more than its graph."""

    class Scaled(base):  # type: ignore[misc]
        def call(self, x: Any, training: Any = None, mask: Any = None) -> Any:
            return super().call(x) * 2 + 1

    return Scaled(*parts)


def _overriding_functional() -> Any:
    x = L.Input((13, 4), name="seq")
    return _scaled(keras.Model, x, L.Dense(2)(L.Flatten()(L.Conv1D(3, 3, activation="relu")(x))))


def _overriding_sequential() -> Any:
    layers = [L.Input((13, 4), name="seq"), L.Conv1D(3, 3, activation="relu"), L.Flatten(), L.Dense(2)]
    return _scaled(keras.Sequential, layers)


def _overriding_nested() -> Any:
    x = L.Input((13, 4), name="seq")
    return keras.Model(x, L.Dense(2)(L.Flatten()(_overriding_functional()(L.Conv1D(4, 3, padding="same")(x)))))


@pytest.mark.parametrize("build", [_overriding_functional, _overriding_sequential, _overriding_nested])
def test_a_call_that_does_more_than_the_graph_is_not_left_out(build: Callable[[], Any]) -> None:
    m = randomize(build())
    x = make_inputs(m, 2)["seq"]
    program = compile_tiles(m, jit=False)
    naive = naive_scan(m, {"seq": x}, [(i, i + 1) for i in range(13)], lambda r: 0)
    assert_close(program(x), naive)
    assert program.plan.less_arithmetic > 1


def _integer_input(x: Any) -> Any:
    tokens = L.Input((13, 4), dtype="int32")
    return L.Conv1D(2, 3, activation="relu")(keras.Model(tokens, ops.cast(tokens, "float32") * 2)(x * 3))


def _standardised(x: Any) -> Any:
    class Standardised(L.Conv2D):  # type: ignore[misc]
        def convolution_op(self, inputs: Any, kernel: Any) -> Any:
            return super().convolution_op(inputs, kernel - ops.mean(kernel, axis=(0, 1), keepdims=True))

    return Standardised(3, (3, 1), activation="relu")(L.Reshape((13, 1, 4))(x))


@pytest.mark.parametrize(
    "build",
    [
        _integer_input,
        _standardised,
        lambda x: ops.max(L.Conv1D(3, 3)(x), axis=1, initial=5.0),
        lambda x: ops.min(L.Conv1D(3, 3)(x), axis=1, initial=-0.5),
        lambda x: L.Conv1D(2, 3)(L.TimeDistributed(L.Dense(3, dtype="float64"))(x)),
        lambda x: L.Conv1D(2, 3)(ops.cast(x * 3, "int32") / ops.cast(2, "int32")),
    ],
    ids=["integer input", "convolution_op", "max initial", "min initial", "inner dtype", "quotient of integers"],
)
def test_what_a_rule_does_not_say(build: Callable[[Any], Any]) -> None:
    m = model(build, 13, double=False)
    x = np.random.default_rng(0).random((2, 13, 4)).astype("float32")
    program = compile_tiles(m, jit=False, verify=False)
    assert_close(program(x), naive_scan(m, {"seq": x}, [(i, i + 1) for i in range(13)], lambda r: 0))


def test_computed_tokens_count_from_the_end() -> None:
    tokens = L.Input((9,), dtype="int32", name="seq")
    m = randomize(keras.Model(tokens, L.Conv1D(2, 3, activation="relu")(L.Embedding(5, 3)(tokens - 1))))
    x = np.random.default_rng(0).integers(1, 5, (2, 9)).astype("int32")
    scores = compile_tiles(m, jit=False, verify=False)(x)
    for i in range(9):
        mutant = x.copy()
        mutant[:, i] = 0
        np.testing.assert_allclose(scores[:, i], m(mutant), rtol=1e-5, atol=1e-6)


class _Computes(L.Layer):  # type: ignore[misc]
    def __init__(self, trainable_weight: bool, reads_too: bool) -> None:
        super().__init__()
        self._trainable_weight, self._reads_too = trainable_weight, reads_too

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape=(shape[-1],), trainable=self._trainable_weight)

    def call(self, x: Any) -> Any:
        y = x * ops.exp(self.w)
        return y + self.w if self._reads_too else y


class _Property(L.Dense):  # type: ignore[misc]
    kernel = property(lambda self: self._kernel * ops.exp(self._kernel))


@pytest.mark.parametrize("layer", [_Computes(True, True), _Computes(False, False), _Property(3)])
def test_what_a_layer_computes_of_its_weights_is_followed_or_noted(layer: Any) -> None:
    x = L.Input((9, 4), name="seq")
    m = randomize(keras.Model(x, L.Conv1D(2, 3)(layer(x))))
    program = compile_tiles(m, jit=False)
    noted = any("frozen at compile time" in note for note in program.plan.notes)
    m.set_weights([w + 0.5 for w in m.get_weights()])
    inputs = make_inputs(m, 2)
    naive = naive_scan(m, inputs, [(i, i + 1) for i in range(9)], lambda r: 0)
    assert noted or np.allclose(program(inputs["seq"]), naive[0] if isinstance(naive, list) else naive, atol=1e-4)


@pytest.mark.parametrize(
    "product",
    [
        lambda x, w: ops.einsum("blc,cd->bld", x, w),
        ops.matmul,
        lambda x, w: ops.tensordot(x, w, 1),
        ops.dot,
    ],
)
def test_constants_of_a_narrower_dtype_are_widened(product: Callable[[Any, Any], Any]) -> None:
    weights = np.random.default_rng(0).random((4, 3)).astype("float32")
    wide = keras.Input((9, 4), dtype="float64", name="seq")
    y = product(L.Activation("tanh", dtype="float64")(wide), weights)
    check(keras.Model(wide, L.Conv1D(2, 3, dtype="float64")(y)), ranges=[(2, 3)])
