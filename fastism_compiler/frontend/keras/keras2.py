"""Keras 2 models (`tf_keras`): replayed call by call as a Keras 3 model with the same weights.

A layer that has a Keras 3 twin is rebuilt from its configuration; a `tf.*`
call in the graph becomes the `keras.ops` call of the same meaning; what has
neither is kept as it is, behind one opaque layer. The result is compared
with the original before it is used.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fastism_compiler.errors import ModelError
from fastism_compiler.frontend.keras.check_config import check_config, check_names, known_names
from fastism_compiler.frontend.keras.file_config import FileConfig, check_links
from fastism_compiler.frontend.keras.lowering import refuse_training
from fastism_compiler.frontend.keras.private import input_structure, producer
from fastism_compiler.ir.errors import FastISMError

ops = keras.ops


def is_keras2(model: Any) -> bool:
    """Whether this is a `tf_keras` model."""
    names = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    return not isinstance(model, keras.Model) and "tf_keras" in names


def load(config: FileConfig, custom_objects: Mapping[str, Any] | None, safe_mode: bool) -> Any:
    """A model file that only Keras 2 can read.

    Keras 2 imports and calls what a file names, and runs the code of a Lambda in an HDF5 file whatever its own
    `safe_mode`. So the file is checked here, against what is registered with `tf_keras`.

    Args:
        config: of the file.
        custom_objects: as for `load_model`.
        safe_mode: as for `load_model`.

    Raises:
        ImportError: `tf_keras` is not installed.
        ModelError: refused by `safe_mode`, or custom layers are missing.
    """
    import tf_keras  # an extra, not always installed, and slow to import

    known = known_names(custom_objects, tf_keras)
    if safe_mode:
        check_config(config, known)
        check_links(config.file)
    options = {"safe_mode": safe_mode} if config.archive else {}
    try:
        return tf_keras.models.load_model(config.file.copy, custom_objects=custom_objects, compile=False, **options)
    except Exception:  # a class that is missing has a better error; any other stays what it is
        check_names(config, known)
        raise


def convert(model: Any) -> Any:
    """The same model in Keras 3; weights are copied.

    Raises:
        ModelError: a model without a functional graph, or whose copy gives other results.
    """
    if not getattr(model, "_is_graph_network", False):
        raise ModelError(
            "a Keras 2 model must have a functional graph",
            expected="a functional or Sequential model",
            got=type(model).__name__,
        )
    try:
        converted = _replay(model)
    except FastISMError:
        raise
    except Exception as error:
        raise ModelError("the Keras 2 model cannot be rebuilt in Keras 3", got=f"{model.name}: {error}") from error
    _compare(model, converted)
    return converted


def _replay(model: Any) -> Any:
    values = {id(t): keras.Input(batch_shape=t.shape, dtype=t.dtype.name, name=_name(t)) for t in model.inputs}
    twins: dict[int, Callable[..., Any]] = {}

    def known(x: Any) -> Any:
        return values.get(id(x), x)

    for node in _calls(model):
        args, kwargs = tf.nest.map_structure(known, (node.call_args, node.call_kwargs))
        results = _apply(node.layer, args, kwargs, twins)
        for old, new in zip(tf.nest.flatten(node.outputs), tf.nest.flatten(results), strict=True):
            values[id(old)] = new
    inputs, outputs = (tf.nest.map_structure(known, nest) for nest in (model._nested_inputs, model._nested_outputs))
    return keras.Model(inputs, outputs, name=model.name)


def _name(tensor: Any) -> str:
    return str(tensor.node.layer.name).replace("/", "_")


def _calls(model: Any) -> Iterator[Any]:
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from (node for node in model._nodes_by_depth[depth] if not node.is_input)


def _apply(layer: Any, args: Any, kwargs: dict[str, Any], twins: dict[int, Callable[..., Any]]) -> Any:
    """Call the layer's twin, made on its first call.

    Raises:
        UnsupportedError: a layer in training mode.
    """
    if kwargs.get("training") is True:
        raise refuse_training(layer.name)
    given = {k: v for k, v in kwargs.items() if v is not None and k not in ("training", "name")}
    if id(layer) in twins:
        return twins[id(layer)](*args, **given)
    for make in (_operation, _twin, _kept):
        try:
            twin: Any = make(layer)
            results = twin(*args, **given)
            if make is _twin and not hasattr(layer, "_nodes_by_depth"):
                twin.set_weights(layer.get_weights())
                _compare_layers(layer, twin, args)
        except FastISMError:
            raise  # refused (perhaps in a nested model): another way would not help
        except Exception:  # whatever stands in the way of a twin, the layer itself can be kept
            if make is _kept:
                raise
            continue
        twins[id(layer)] = twin
        return results
    raise AssertionError("the last way either returns or raises")


def _operation(layer: Any) -> Callable[..., Any]:
    """The `keras.ops` call, under the name that it has in the Keras 2 graph."""
    function = _OPERATIONS[layer.symbol]

    def call(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        producer(result).name = layer.name
        return result

    return call


def _twin(layer: Any) -> Any:
    """The Keras 3 layer of the same class and configuration; nested models are replayed."""
    if getattr(layer, "_is_graph_network", False):
        return _replay(layer)
    if not type(layer).__module__.startswith("tf_keras."):
        raise TypeError("a custom layer has no twin")
    kind = getattr(keras.layers, type(layer).__name__)
    config = _cleaned(layer.get_config())
    if type(layer).__name__ == "LeakyReLU":
        config["negative_slope"] = config.pop("alpha")
    if isinstance(config.get("axis"), list) and len(config["axis"]) == 1:
        (config["axis"],) = config["axis"]
    return kind.from_config({k: v for k, v in config.items() if k in _accepted(kind)})


def _accepted(kind: Any) -> set[str]:
    """Argument names of a class's constructor, and of its bases' as far as `**kwargs` passes them on."""
    names: set[str] = set()
    for base in kind.__mro__:
        parameters = inspect.signature(base.__init__).parameters
        names |= set(parameters)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    return names


_TRAINING_ONLY = ("_initializer", "_regularizer", "_constraint")
_DROPPED = ("implementation", "time_major", "batch_input_shape")


def _cleaned(config: Any) -> Any:
    """A configuration without what only training needs, dtypes by name, Keras 2's lists as plain ones."""
    if isinstance(config, dict):
        kept = {k: v for k, v in config.items() if not k.endswith(_TRAINING_ONLY) and k not in _DROPPED}
        return {k: _dtype(v) if k == "dtype" else _cleaned(v) for k, v in kept.items()}
    if isinstance(config, list | tuple):
        return [_cleaned(v) for v in config]
    return config


def _dtype(policy: Any) -> str:
    return str(policy["config"]["name"] if isinstance(policy, dict) else policy)


class Keras2Layer(keras.layers.Layer):  # type: ignore[misc] # Keras is untyped
    """One call of a Keras 2 layer inside a Keras 3 model, weights, constants and all.

    Args:
        inner: the Keras 2 layer.
        call: the nest `(args, kwargs)` of its call; symbolic tensors mark where this layer's inputs go.
        name: of this layer.
    """

    def __init__(self, inner: Any, call: Any, name: str) -> None:
        super().__init__(name=name, autocast=False)
        self._takes_training = "training" in inspect.signature(inner.call).parameters
        self._inner = inner
        self._recorded: Callable[[], Any] = lambda: call  # hidden from Keras, which would wrap the nest

    def call(self, *tensors: Any) -> Any:
        """Whatever the Keras 2 layer does in inference."""
        nest, remaining = self._recorded(), iter(tensors)
        flat = [next(remaining) if isinstance(x, keras.KerasTensor) else x for x in tf.nest.flatten(nest)]
        args, kwargs = tf.nest.pack_sequence_as(nest, flat)
        training = {"training": False} if self._takes_training else {}
        return self._inner(*args, **kwargs, **training)


def _kept(layer: Any) -> Callable[..., Any]:
    """The Keras 2 layer itself; every call of it is a layer."""
    calls: list[str] = []

    def call(*args: Any, **kwargs: Any) -> Any:
        name = layer.name.replace("/", "_").replace(".", "_") + (f"_{len(calls)}" if calls else "")
        calls.append(name)
        tensors = [x for x in tf.nest.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)]
        kept: Any = Keras2Layer(layer, (args, kwargs), name)
        return kept(*tensors)

    return call


def _slices(x: Any, item: Any) -> Any:
    """`x[item]`, slices given as dicts of start, stop and step."""
    plain = [slice(i["start"], i["stop"], i["step"]) if isinstance(i, dict) else i for i in item]
    return x[tuple(plain)]


@dataclass(frozen=True, slots=True)
class _Twin:
    """A `keras.ops` function; what TensorFlow calls its arguments; TensorFlow's defaults where Keras has others."""

    function: Callable[..., Any]
    names: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = {self.names.get(k, k): v for k, v in kwargs.items()}
        return self.function(*args, **{**self.defaults, **given})


_SAME = (
    "math.add", "math.subtract", "math.multiply", "math.maximum", "math.minimum", "math.exp", "math.log", "math.log1p",
    "math.sqrt", "math.rsqrt", "math.square", "math.abs", "math.negative", "math.tanh", "math.sigmoid", "math.softplus",
    "math.sin", "math.cos", "nn.relu", "nn.relu6", "nn.elu", "nn.selu", "nn.softplus", "nn.sigmoid", "nn.tanh",
)  # fmt: skip
_ONE = {"features": "x", "x": "x", "logits": "x", "tensor": "x", "input": "x"}

_OPERATIONS: dict[str, _Twin] = {
    **{symbol: _Twin(getattr(ops, symbol.partition(".")[2]), {**_ONE, "y": "x2"}) for symbol in _SAME},
    **{
        f"math.reduce_{name}": _Twin(getattr(ops, name), {"input_tensor": "x"})
        for name in ("mean", "sum", "max", "min")
    },
    "__operators__.add": _Twin(ops.add, {"x": "x1", "y": "x2"}),
    "__operators__.getitem": _Twin(_slices),
    "math.divide": _Twin(ops.divide, {"x": "x1", "y": "x2"}),
    "math.truediv": _Twin(ops.divide, {"x": "x1", "y": "x2"}),
    "math.pow": _Twin(ops.power, {"x": "x1", "y": "x2"}),
    "math.reduce_logsumexp": _Twin(ops.logsumexp, {"input_tensor": "x"}),
    "nn.gelu": _Twin(ops.gelu, _ONE, {"approximate": False}),
    "nn.silu": _Twin(ops.silu, _ONE),
    "nn.softmax": _Twin(ops.softmax, _ONE),
    "concat": _Twin(ops.concatenate, {"values": "xs"}),
    "expand_dims": _Twin(ops.expand_dims, _ONE),
    "squeeze": _Twin(ops.squeeze, _ONE),
    "reverse": _Twin(ops.flip, _ONE),
    "reshape": _Twin(ops.reshape, {"tensor": "x", "shape": "newshape"}),
}
"""TensorFlow symbol in a Keras 2 graph -> the same call in Keras 3."""


def _compare_layers(layer: Any, twin: Any, args: Any) -> None:
    """Compare a layer and its twin on random input; ValueError if they differ (a default may)."""
    rng = np.random.default_rng(0)
    flat = [_sample(rng, x.shape, x.dtype) if isinstance(x, keras.KerasTensor) else x for x in tf.nest.flatten(args)]
    sampled = tf.nest.pack_sequence_as(args, flat)
    for old, new in zip(tf.nest.flatten(layer(*sampled)), tf.nest.flatten(twin(*sampled)), strict=True):
        if _difference(old, new) > _LIMIT:
            raise ValueError(f"{type(twin).__name__} differs from its Keras 2 namesake")


_LIMIT = 1e-4
"""Relative difference up to which two layers, or two models, are the same."""


def _sample(rng: np.random.Generator, shape: Any, dtype: str) -> Any:
    """Two random inputs with standard deviation 3; for integers, tokens 0 and 1, which every vocabulary has."""
    sizes = (2, *(13 if n is None else n for n in shape[1:]))
    values = 3 * rng.standard_normal(sizes) if "float" in dtype else rng.integers(0, 2, sizes)
    return tf.constant(values.astype(dtype))


def _difference(old: Any, new: Any) -> float:
    """Largest difference relative to the largest number; NaNs agree with NaNs."""
    old, new = np.asarray(old, dtype=np.float64), np.asarray(new, dtype=np.float64)
    if not np.array_equal(np.isfinite(old), np.isfinite(new)):
        return float("inf")
    finite = np.isfinite(old)
    largest = np.abs(old[finite]).max(initial=0)
    return float(np.abs(old[finite] - new[finite]).max(initial=0) / (largest + 1e-3))


def _compare(model: Any, converted: Any) -> None:
    """Both models on random input."""
    rng = np.random.default_rng(0)
    given = [_sample(rng, tensor.shape, tensor.dtype.name) for tensor in model.inputs]
    results = []
    for each in (model, converted):
        nest = each._nested_inputs if each is model else input_structure(each)
        results.append(tf.nest.flatten(each(tf.nest.pack_sequence_as(nest, given), training=False)))
    for old, new in zip(*results, strict=True):
        difference = _difference(old, new)
        if difference > _LIMIT:
            raise ModelError(
                "the Keras 3 copy of a Keras 2 model gives other results",
                expected=f"a relative difference below {_LIMIT:.0e}",
                got=f"{difference:.1e}; please rebuild the model in Keras 3",
            )
