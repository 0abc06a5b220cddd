"""One operation of a traced TensorFlow graph, as the rules see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from fastism_compiler.frontend.builder import Builder, Decline, dtype_name, refuse_batch
from fastism_compiler.ir import BATCH, Node


@dataclass(frozen=True, slots=True)
class Rows:
    """`[B * L, C]`: the positions of all sequences one below the other.

    Attributes:
        node: the same as `[B, L, C]`.
    """

    node: Node


@dataclass(frozen=True, slots=True)
class Phases:
    """`[B * rate, L / rate, C]`: every `rate`-th position as a sequence, which is how TensorFlow dilates convolutions.

    Attributes:
        node: the same as `[B, L, C]`.
        rate: of dilation.
    """

    node: Node
    rate: int


@dataclass(frozen=True, slots=True)
class Call:
    """One operation of a traced graph.

    Attributes:
        builder: adds nodes.
        op: the operation.
        operands: nodes, `Rows`, `Phases` or numpy constants.
        sequences: number of sequences it was traced with.
    """

    builder: Builder
    op: Any
    operands: Sequence[Any]
    sequences: int

    def __getitem__(self, name: str) -> Any:
        """An attribute."""
        return self.op.get_attr(name)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first output, the number of sequences included."""
        return tuple(self.op.outputs[0].shape)

    def constant(self, position: int) -> Any:
        """An operand that must be a constant.

        Raises:
            Decline: it is computed.
        """
        value = self.operands[position]
        if not isinstance(value, np.ndarray):
            raise Decline(f"the TensorFlow operation {self.op.type} with a computed argument")
        return value

    def axis(self, position: int) -> Any:
        """An operand that names one axis, or several, none of them that of the sequences.

        Raises:
            UnsupportedError: the axis of sequences.
        """
        rank = self.op.inputs[0].shape.rank
        axes = [int(a) % rank for a in np.atleast_1d(self.constant(position))]
        if 0 in axes and self.is_batched(self.operands[0]):
            raise refuse_batch(self.builder, f"TensorFlow's {self.op.type}")
        return axes if np.ndim(self.constant(position)) else axes[0]

    def apply(self, function: Callable[..., Any], *operands: Any) -> Any:
        """A function of `keras.ops` on operands; rows give rows."""
        nodes = [x.node if isinstance(x, Rows) else x for x in operands]
        places = [i for i, x in enumerate(nodes) if isinstance(x, Node)]

        def with_constants(tensors: Any) -> Any:
            given: list[Any] = list(nodes)
            for place, tensor in zip(places, keras.tree.flatten(tensors), strict=True):
                given[place] = tensor
            return function(*given)

        result = self.builder.follow(with_constants, [nodes[i] for i in places], symbols_only=True)
        results = list(result) if isinstance(result, list | tuple) else [result]
        if any(isinstance(x, Rows) for x in operands):
            results = [Rows(node) for node in results]
        return results if isinstance(result, list | tuple) else results[0]

    @staticmethod
    def is_batched(x: Any) -> bool:
        """Whether this is a value of each sequence."""
        return isinstance(x, Rows | Phases) or (isinstance(x, Node) and x.type.rank > 0 and x.type.shape[0] is BATCH)

    def typed(self, x: Any) -> Any:
        """A value in the dtype that TensorFlow gives it."""
        dtype = dtype_name(self.op.outputs[0].dtype)
        return self.apply(lambda t: ops.cast(t, dtype), x)


Rule = Callable[[Call], Any]
"""The results of an operation: one, or a list."""
