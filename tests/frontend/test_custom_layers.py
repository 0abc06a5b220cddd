"""Custom layers, three ways: registered, decomposed, recomputed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastism_compiler as fc
from fastism_compiler.models.randomize import randomize
from tests.oracle import assert_close, make_inputs, naive_scan
from tests.programs import compile_tiles

L = keras.layers
ops = keras.ops
LENGTH = 23


class Opaque(L.Layer):
    """Runs an operation of TensorFlow that has no rule, so that it cannot be followed."""


def unfollowed(x: Any) -> Any:
    return tf.bitcast(x, x.dtype)


class Squash(Opaque):
    def call(self, x: Any) -> Any:
        return tf.math.softsign(unfollowed(x))

    def compute_output_spec(self, x: Any) -> Any:
        return keras.KerasTensor(x.shape, x.dtype)


class WeightedPool(Opaque):
    """Attention pooling: a softmax over each block of `pool_size` positions."""

    def __init__(self, pool_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pool_size = pool_size

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], shape[-1]), name="kernel")

    def call(self, x: Any) -> Any:
        count = x.shape[1] // self.pool_size
        blocks = tf.reshape(unfollowed(x)[:, : count * self.pool_size], [-1, count, self.pool_size, x.shape[2]])
        return tf.reduce_sum(blocks * tf.nn.softmax(tf.matmul(blocks, self.kernel), axis=2), axis=2)

    def compute_output_spec(self, x: Any) -> Any:
        return keras.KerasTensor((x.shape[0], x.shape[1] // self.pool_size, x.shape[2]), x.dtype)


class Smooth(Opaque):
    """The mean of three neighbours, squared if asked; `same` or `valid`."""

    def __init__(self, padding: str, square: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.padding, self.square = padding, square

    def call(self, x: Any) -> Any:
        x = tf.square(unfollowed(x)) if self.square else unfollowed(x)
        if self.padding == "same":
            x = tf.pad(x, [[0, 0], [1, 1], [0, 0]])
        if self.padding == "causal":
            x = tf.pad(x, [[0, 0], [2, 0], [0, 0]])
        return (x[:, :-2] + x[:, 1:-1] + x[:, 2:]) / 3

    def compute_output_spec(self, x: Any) -> Any:
        return keras.KerasTensor((x.shape[0], x.shape[1] - 2 * (self.padding == "valid"), x.shape[2]), x.dtype)


class Gated(L.Layer):
    """Made of Keras ops, a sublayer, and a weight: can be traced."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), name="gamma")
        self.conv = L.Conv1D(shape[-1], 3, padding="same")
        self.conv.build(shape)

    def call(self, x: Any, training: bool = False) -> Any:
        assert training is False
        return x * ops.sigmoid(self.conv(x)) * self.scale


@pytest.fixture(autouse=True)
def clean() -> Any:
    yield
    for layer in (Squash, WeightedPool, Smooth, Gated):
        fc.unregister_layer(layer)
    fc.unregister_layer("Squash")


def model(*layers: Any) -> Any:
    x = inputs = L.Input((LENGTH, 4), name="seq")
    x = L.Conv1D(4, 3, padding="same")(x)
    for layer in layers:
        x = layer(x)
    x = L.Conv1D(3, 3, padding="same")(x)
    return randomize(keras.Model(inputs, [x, L.GlobalAveragePooling1D()(x)]))


def check(m: Any, stops: int, jit: bool = False) -> Any:
    x = make_inputs(m, 2)["seq"]
    program = compile_tiles(m, jit=jit, verify=False)
    assert_close(program(x), naive_scan(m, {"seq": x}, [(i, i + 1) for i in range(LENGTH)], lambda r: 0))
    assert len(program.plan.stops) == stops, program.plan.stops
    return program


@pytest.mark.parametrize("by", [Squash, "Squash"])
def test_see_through(by: Any) -> None:
    check(model(Squash()), stops=1)
    fc.register_layer(by, kind="see_through")
    check(model(Squash()), stops=0)
    check(model(Squash()), stops=0, jit=True)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_pooling_with_weights(size: int) -> None:
    check(model(WeightedPool(size)), stops=1)
    fc.register_layer(WeightedPool, kind="pooling")
    check(model(L.ReLU(), WeightedPool(size)), stops=0)


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize("square", [False, True])
def test_local(padding: Any, square: bool) -> None:
    fc.register_layer(
        Smooth,
        kind="local",
        receptive_field=lambda layer: fc.ReceptiveField(kernel=3, padding=layer.padding),
        linear=not square,
    )
    check(model(Smooth(padding, square)), stops=0)
    check(model(L.ReLU(), Smooth(padding, square), L.MaxPooling1D(2)), stops=0)


@pytest.mark.parametrize("kind", ["stop", "aggregation"])
def test_stop_and_aggregation(kind: Any) -> None:
    fc.register_layer(Gated, kind=kind)
    check(model(Gated()), stops=1)


def test_decomposed() -> None:
    m = model(Gated())
    before = [len(layer._inbound_nodes) for layer in m._flatten_layers()]
    program = check(m, stops=0)
    assert any(n.layer and "gated" in n.layer and n.op == "conv" for n in program.graph)
    assert [len(layer._inbound_nodes) for layer in m._flatten_layers()] == before, "tracing left calls behind"
    x = make_inputs(m, 2)["seq"]
    randomize(m, seed=5)  # weights stay live through a decomposition
    assert_close(program(x), naive_scan(m, {"seq": x}, [(i, i + 1) for i in range(LENGTH)], lambda r: 0))


def test_recomputed_and_named() -> None:
    program = check(model(Squash()), stops=1)
    ((layer, reason),) = program.plan.stops
    assert "squash" in layer
    assert "Squash.call cannot be followed: the TensorFlow operation Bitcast has no rule" in reason


@pytest.mark.parametrize(
    ("options", "rule"),
    [({"kind": "magic"}, "unknown kind"), ({"kind": "local"}, "needs its receptive field")],
)
def test_bad_registrations(options: Any, rule: str) -> None:
    with pytest.raises(fc.OptionError, match=rule):
        fc.register_layer(Squash, **options)


@pytest.mark.parametrize("field", [{"kernel": 0}, {"padding": "reflect"}, {"padding": "same", "stride": 2}])
def test_bad_receptive_fields(field: Any) -> None:
    with pytest.raises(fc.OptionError):
        fc.ReceptiveField(**field)


def test_a_registered_layer_that_takes_two_tensors_is_recomputed() -> None:
    class Both(Opaque):
        def call(self, a: Any, b: Any) -> Any:
            return unfollowed(a) + tf.reverse(b, [1])

        def compute_output_spec(self, a: Any, b: Any) -> Any:
            return keras.KerasTensor(a.shape, a.dtype)

    fc.register_layer("Both", kind="see_through")
    x = inputs = L.Input((LENGTH, 4), name="seq")
    x = L.Conv1D(4, 3, padding="same")(x)
    m = randomize(keras.Model(inputs, Both()(x, x)))
    check(m, stops=1)
    fc.unregister_layer("Both")
    assert np.isfinite(compile_tiles(m, jit=False)(make_inputs(m, 1)["seq"])).all()


class TokenAndPosition(L.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = L.Embedding(5, 4), L.Embedding(9, 4)

    def build(self, shape: Any) -> None:
        self.tokens.build(shape)
        self.positions.build(shape)

    def call(self, x: Any) -> Any:
        return self.tokens(x) + self.positions(keras.ops.arange(x.shape[1]))


def test_values_computed_from_weights_stay_alive() -> None:
    inputs = L.Input((9,), dtype="int32")
    model = randomize(keras.Model(inputs, L.Conv1D(2, 3)(TokenAndPosition()(inputs))))
    program = compile_tiles(model, jit=False)
    assert program.plan.stops == ()
    assert not program.plan.notes
    randomize(model, seed=1)
    tokens = np.arange(9, dtype="int32")[None] % 5
    mutants = np.repeat(tokens, 9, axis=0)
    np.fill_diagonal(mutants, 0)
    np.testing.assert_allclose(program(tokens)[0], model(mutants), rtol=1e-5, atol=1e-5)
