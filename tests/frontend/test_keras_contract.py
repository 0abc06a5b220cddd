"""The private structures of Keras that `frontend/private.py` reads; this test says which one changed."""

from __future__ import annotations

import keras

from fastism_compiler.frontend.keras import private

L = keras.layers


def model() -> keras.Model:
    a, b = L.Input((5, 3), name="a"), L.Input((5, 3), name="b")
    shared = L.Dense(3)
    return keras.Model({"a": a, "b": b}, [L.Add()([shared(a), shared(b)]), keras.ops.mean(a, axis=1)])


def test_calls_are_listed_once_each_in_order() -> None:
    m = model()
    shared = m.layers[2]
    shared(L.Input((5, 3)))  # a call outside this model
    calls = list(private.calls(m))
    assert sum(c.operation is shared for c in calls) == 2
    assert [type(c.operation).__name__ for c in calls].count("Add") == 1
    for call in calls:
        assert all(isinstance(t, keras.KerasTensor) for t in call.outputs)


def test_structures() -> None:
    m = model()
    assert set(private.input_structure(m)) == {"a", "b"}
    assert len(private.output_structure(m)) == 2


def test_what_has_a_functional_graph() -> None:
    sequential = keras.Sequential([L.Input((3,)), L.Dense(2)])
    assert private.function_of(sequential) is not None
    assert private.function_of(model()) is not None
    assert private.function_of(keras.Sequential([L.Dense(2)])) is None
    assert private.function_of(L.Dense(2)) is None


def test_training_arguments_and_attributes() -> None:
    assert private.takes_training(L.Dropout(0.5))
    assert not private.takes_training(L.Cropping1D(1))
    call = next(c for c in private.calls(model()) if private.is_keras_operation(c.operation))
    assert private.static_attributes(call.operation) == {"axis": [1], "keepdims": False}
    assert not private.takes_training(call.operation)
