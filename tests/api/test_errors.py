"""Bad input gives a clear error from the hierarchy: rule, expected, got; never a wrong number."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastism_compiler as fc
from fastism_compiler.models.randomize import randomize
from tests.graphs import GRAPHS

L = keras.layers


@pytest.fixture(scope="module")
def program() -> Any:
    return fc.compile(randomize(GRAPHS["conv_valid"]()), jit=False, verify=False)


@pytest.fixture(scope="module")
def two_inputs() -> Any:
    return fc.compile(randomize(GRAPHS["other_input_after_stop"]()), seq_input="seq", jit=False, verify=False)


X = np.zeros((2, 23, 4), "float32")


def nan_at(*where: int) -> np.ndarray[Any, Any]:
    x = X.copy()
    x[where] = np.nan
    return x


@pytest.mark.parametrize(
    ("x", "error", "rule"),
    [
        (X[0], fc.InputError, "wrong rank"),
        (X[:, :20], fc.InputError, "wrong length"),
        (X[:, :, :3], fc.InputError, "wrong channel count"),
        (X[:0], fc.InputError, "at least one sequence"),
        (np.array([["A"] * 23]), fc.InputTypeError, "sequences are texts"),
        (X.astype("complex64"), fc.InputTypeError, "bool, integer or float"),
        ("ACGT", fc.InputError, "wrong length"),
        ([[1, 2], [3]], fc.InputTypeError, "must be an array"),
        (nan_at(1, 5, 2), fc.InputError, r"finite(.|\n)*\[1, 5, 2\]"),
        (X + np.inf, fc.InputError, "finite"),
        ({"wrong": X}, fc.InputError, "name every input"),
    ],
)
def test_bad_inputs(program: Any, x: Any, error: type[Exception], rule: str) -> None:
    with pytest.raises(error, match=rule):
        program(x)


def test_wrong_number_of_inputs(two_inputs: Any) -> None:
    with pytest.raises(fc.InputError, match="wrong number of inputs"):
        two_inputs(X)
    with pytest.raises(fc.InputError, match="same number of sequences"):
        two_inputs([np.zeros((3, 5)), X])
    dict_program = fc.compile(GRAPHS["other_input_per_position"](), seq_input="seq", jit=False, verify=False)
    with pytest.raises(fc.InputError, match="takes a dict"):
        dict_program([X, X])


@pytest.mark.parametrize(
    ("replacement", "rule"),
    [
        (np.zeros(3), "none of its forms"),
        (np.zeros((2, 4)), "none of its forms"),
        (np.zeros((5, 1, 4)), "none of its forms"),
        ([[0, 0], [0]], "regular array"),
        ("A", "made of numbers"),
        (np.nan, "must be finite"),
    ],
)
def test_bad_replacements(program: Any, replacement: Any, rule: str) -> None:
    with pytest.raises(fc.ReplacementError, match=rule):
        program(X, replacement)


def test_replacement_of_one_width_for_ranges_of_several() -> None:
    program = fc.compile(GRAPHS["conv_valid"](), ranges=[(0, 2), (3, 6)], jit=False, verify=False)
    with pytest.raises(fc.ReplacementError, match="must fit every one"):
        program(X, np.zeros((3, 4)))
    with pytest.raises(fc.ReplacementError, match="its own width"):
        program(X, [np.zeros((2, 4)), np.zeros((2, 4))])


@pytest.mark.parametrize("ranges", [[], [(2, 2)], [(5, 3)], [(-1, 1)], [(20, 24)]])
def test_bad_ranges(ranges: Any) -> None:
    with pytest.raises(fc.RangeError):
        fc.compile(GRAPHS["conv_valid"](), ranges=ranges)


@pytest.mark.parametrize("early_stop_layers", ["nowhere", ["conv1d", "nowhere"]])
def test_unknown_layers(early_stop_layers: Any) -> None:
    model = GRAPHS["conv_valid"]()
    names = [model.layers[1].name if n == "conv1d" else n for n in np.atleast_1d(early_stop_layers).tolist()]
    with pytest.raises(fc.LayerNameError, match=r"nowhere") as info:
        fc.FastISM(model, early_stop_layers=names)
    assert model.layers[1].name in str(info.value)


@pytest.mark.parametrize("seq_input", [2, -1, "nothing", None])
def test_unknown_sequence_inputs(seq_input: Any) -> None:
    with pytest.raises(fc.InputError, match="seq_input"):
        fc.compile(GRAPHS["other_input_after_stop"](), seq_input=seq_input)


def test_a_dict_model_needs_its_key() -> None:
    with pytest.raises(fc.InputError, match="seq_input"):
        fc.compile(GRAPHS["other_input_per_position"](), seq_input=0)


def test_a_model_without_positions() -> None:
    x = L.Input((4,))
    with pytest.raises(fc.InputError, match=r"\[batch, length, channels\]"):
        fc.compile(keras.Model(x, L.Dense(1)(x)))


@pytest.mark.parametrize("model", [None, 3, lambda x: x, "nothing.keras"])
def test_not_a_model(model: Any) -> None:
    with pytest.raises(fc.ModelError):
        fc.compile(model)


def test_a_sequence_of_bools_is_refused_by_name() -> None:
    x = L.Input((9, 4), dtype="bool", name="flags")
    with pytest.raises(fc.InputError, match="flags"):
        fc.compile(keras.Model(x, keras.ops.sum(keras.ops.cast(x, "float32"), axis=1)))


def test_a_subclassed_model_is_refused_with_advice() -> None:
    class Sub(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(fc.ModelError, match="called once"):
        fc.compile(Sub())


def test_python_control_flow_on_tensors_is_refused_with_advice() -> None:
    class Sub(keras.Model):
        def call(self, x: Any) -> Any:
            return x * 2 if tf.reduce_sum(x) > 0 else x

    model = Sub()
    model(X)
    with pytest.raises(fc.ModelError, match="without Python control flow") as info:
        fc.compile(model)
    assert "Sub" in str(info.value)


CROSS_BATCH = {
    "mean over the batch": lambda x: x - keras.ops.mean(x, axis=0, keepdims=True),
    "mean over everything": lambda x: x - keras.ops.mean(x),
    "softmax over the batch": lambda x: keras.ops.softmax(x, axis=0),
    "softmax over everything": lambda x: keras.ops.softmax(x, axis=None),
    "flip of the batch": lambda x: x + keras.ops.flip(x, axis=0),
    "flip of everything": lambda x: x + keras.ops.flip(x),
    "one sequence for all": lambda x: x + x[:1, :],
    "concatenation": lambda x: keras.ops.concatenate([x, x], axis=0),
    "Softmax": L.Softmax(axis=0),
    "Concatenate": lambda x: L.Concatenate(axis=0)([x, x]),
    "operands of different rank": lambda x: x + keras.ops.sum(x, axis=1),
}


@pytest.mark.parametrize("name", sorted(CROSS_BATCH))
def test_operations_across_sequences_are_refused_by_layer(name: str) -> None:
    x = L.Input((5, 4))
    y = CROSS_BATCH[name](L.Conv1D(5 if "rank" in name else 4, 1)(x))
    with pytest.raises(fc.UnsupportedError, match="across sequences") as info:
        fc.compile(keras.Model(x, y))
    assert "layer '" in str(info.value)


def _opaque(body: Any) -> keras.Model:
    class Opaque(L.Layer):
        def call(self, x: Any) -> Any:
            return body(_unfollowed(x))

        def compute_output_spec(self, x: Any) -> Any:
            return keras.KerasTensor(x.shape, x.dtype)

    x = L.Input((9, 4))
    return keras.Model(x, Opaque()(x))


def _unfollowed(x: Any) -> Any:
    """An operation that no rule follows."""
    return tf.bitcast(x, x.dtype)


MIXING = {
    "mean": lambda x: x - tf.reduce_mean(x, axis=0, keepdims=True),
    "first sequence": lambda x: x - x[:1],
    "running sum": lambda x: tf.cumsum(x, axis=0),
    "a little": lambda x: x + 1e-3 * tf.reduce_mean(x, axis=0, keepdims=True),
    "row number": lambda x: x * tf.cast(tf.range(tf.shape(x)[0]), "float32")[:, None, None],
    "noise of a fixed seed": lambda x: x + tf.random.stateless_normal(tf.shape(x), (1, 2)),
}


@pytest.mark.parametrize("name", sorted(MIXING))
def test_opaque_layers_that_mix_sequences_are_found_out(name: str) -> None:
    with pytest.raises(fc.UnsupportedError, match="depends on the other sequences"):
        fc.compile(_opaque(MIXING[name]), verify=False)


def test_opaque_layers_that_are_random_are_found_out() -> None:
    with pytest.raises(fc.UnsupportedError, match="random"):
        fc.compile(_opaque(lambda x: x + tf.random.normal(tf.shape(x))), verify=False)


@pytest.mark.parametrize("layer", [L.Dropout(0.5, name="noisy"), L.BatchNormalization(name="noisy")])
def test_layers_in_training_mode_are_refused_by_name(layer: Any) -> None:
    x = L.Input((9, 4))
    with pytest.raises(fc.UnsupportedError, match="noisy"):
        fc.compile(keras.Model(x, layer(x, training=True)))


def test_only_one_input_can_be_the_sequence() -> None:
    a, b = L.Input((9, 4), name="a"), L.Input((9, 4), name="b")
    with pytest.raises(fc.InputError, match="must name one of"):
        fc.compile(keras.Model([a, b], L.Add()([a, b])), seq_input=["a", "b"])


def test_stateful_recurrence_is_refused_by_name() -> None:
    x = L.Input((9, 4), batch_size=2)
    with pytest.raises(fc.UnsupportedError, match="memory_keeper"):
        fc.compile(keras.Model(x, L.LSTM(3, stateful=True, name="memory_keeper")(x)))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("precision", "float8"), ("batch_size", 0), ("batch_size", 2.5), ("outputs", 5), ("outputs", "head")],
        *[
            ("outputs", [9]),
            ("reduce", 5),
            ("stop_at", 5),
            ("channels", "x"),
            ("channels", 5),
            ("alphabet", 5),
            ("alphabet", "AACG"),
        ],
    ],
)
def test_bad_options(option: str, value: Any) -> None:
    with pytest.raises(fc.FastISMError):
        fc.compile(GRAPHS["conv_valid"](), **{option: value})


def test_any_collection_of_layers_may_stop() -> None:
    model = GRAPHS["conv_valid"]()
    names = {layer.name for layer in model.layers if "conv" in layer.name}
    assert fc.compile(model, stop_at=names, verify=False, jit=False).plan.stops


def test_errors_are_also_builtin_errors() -> None:
    for error, builtin in (
        (fc.RangeError, ValueError),
        (fc.InputError, ValueError),
        (fc.InputTypeError, TypeError),
        (fc.ModelError, TypeError),
        (fc.UnsupportedError, NotImplementedError),
        (fc.VerificationError, ValueError),
    ):
        assert issubclass(error, builtin)
        assert issubclass(error, fc.FastISMError)


def test_a_verification_of_nothing_is_refused() -> None:
    with pytest.raises(fc.OptionError, match="ranges= is too small"):
        fc.compile(GRAPHS["conv_valid"](), jit=False, verify=False).verify(ranges=0)


@pytest.mark.parametrize("budget", ["1.2.3GiB", ".", "GiB", "5 parsecs"])
def test_a_memory_budget_that_is_no_size(budget: str) -> None:
    with pytest.raises(fc.OptionError, match="must be a size"):
        fc.compile(GRAPHS["conv_valid"](), memory_budget=budget)
