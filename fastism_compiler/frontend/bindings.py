"""Bindings: what the graph's parameters and opaque calls stand for.

The graph names them; the objects stay here, so that `ir` and `passes` never
see Keras, and so that a program reads the model's weights as they are now.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from fastism_compiler.ir import Node

KerasCall = Callable[[list[Any]], list[Any]]
"""Operand tensors in, flat result tensors out."""
_LARGE = 1 << 14
"""Bytes of a constant that is worth a variable."""


class Derived(ABC):
    """What a model computes from its variables alone: a parameter that follows them.

    Attributes:
        shape: of the tensor.
        dtype: of the tensor.
    """

    shape: Any
    dtype: Any

    @abstractmethod
    def now(self) -> Any:
        """The tensor, computed from the current values of the variables."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """The tensor as an array, as variables have it."""
        return np.asarray(self.now(), dtype)


@dataclass(slots=True)
class Bindings:
    """Objects behind the names in a graph.

    Attributes:
        parameters: variables and what is derived from them (read when a program runs), and constant arrays.
        calls: opaque operations.
        held: variables of this object, which hold constants.
    """

    parameters: dict[str, Any] = field(default_factory=dict)
    calls: dict[str, KerasCall] = field(default_factory=dict)
    held: tuple[tf.Variable, ...] = ()

    def with_constants_held(self) -> Bindings:
        """The same, with large constants in variables.

        Variables are arguments of what XLA compiles. Constants are part of it: XLA copies them several times, and a
        StableHLO module has them as text.
        """
        large = {
            name: tf.Variable(value, trainable=False)
            for name, value in self.parameters.items()
            if isinstance(value, np.ndarray | tf.Tensor) and np.asarray(value).nbytes >= _LARGE
        }
        return Bindings({**self.parameters, **large}, self.calls, tuple(large.values()))

    def parameter(self, node: Node) -> Any:
        """The current value of a parameter node, in its dtype; arrays become constants of the program."""
        value = self.parameters[node.attrs["binding"]]
        if isinstance(value, Derived):
            value = value.now()
        elif isinstance(value, tf.Tensor):
            value = value.numpy()
        return tf.cast(tf.convert_to_tensor(value), node.type.dtype)
