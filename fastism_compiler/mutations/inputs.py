"""What a model takes: its inputs checked, cast and put in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastism_compiler.errors import InputError, InputTypeError
from fastism_compiler.ir import TensorType

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The inputs of one program.

    Attributes:
        names: input names in flat order.
        types: their types; the batch axis is open.
        sequence: which of them is mutated.
        keys: dict keys in flat order where the model takes a dict.
        vocabulary: how many tokens there are, if the sequence is `[B, L]` of tokens.
    """

    names: tuple[str, ...]
    types: tuple[TensorType, ...]
    sequence: int
    keys: tuple[str, ...] | None
    vocabulary: int | None = None

    def read(self, x: Any) -> list[Array]:
        """Check `x` and return the flat list of numpy inputs.

        Args:
            x: what the model takes: an array for one input, a list or tuple in
                order, or a dict by key or input name. Numpy or tensors.

        Raises:
            InputError: wrong number, names, rank, length, channels or batch; NaN or infinity.
            InputTypeError: something that is not a numeric array.
        """
        arrays = [self._array(value, i) for i, value in enumerate(self._flat(x))]
        batch = len(arrays[self.sequence])
        for name, array in zip(self.names, arrays, strict=True):
            if len(array) != batch:
                raise InputError(
                    "all inputs must have the same number of sequences", expected=batch, got=f"{name!r}: {len(array)}"
                )
        return arrays

    def check_tokens(self, x: Array) -> None:
        """Check that a sequence of tokens, or what replaces one, holds tokens that exist.

        Raises:
            InputError: a token below 0, not in the vocabulary, or not a whole number.
        """
        if self.vocabulary is None:
            return
        if not np.isfinite(x).all():
            raise InputError("tokens are whole numbers inside the vocabulary", got="NaN or infinity")
        wrong = (x < 0) | (x >= self.vocabulary) | (x != np.floor(x))
        if wrong.any():
            where = np.argwhere(wrong)[0]
            raise InputError(
                "tokens are whole numbers inside the vocabulary",
                expected=f"0 .. {self.vocabulary - 1}",
                got=f"{x[tuple(where)]} at [{', '.join(map(str, where))}]",
            )

    def pack(self, arrays: list[Array]) -> Any:
        """Flat inputs in the form `read` takes: a dict, a list, or the array itself."""
        if self.keys is not None:
            return dict(zip(self.keys, arrays, strict=True))
        return arrays if len(arrays) > 1 else arrays[0]

    def _flat(self, x: Any) -> list[Any]:
        if isinstance(x, Mapping):
            known = self.keys if self.keys is not None and set(self.keys) <= set(x) else self.names
            if set(x) != set(known):
                raise InputError("inputs given by name must name every input once", expected=list(known), got=list(x))
            return [x[name] for name in known]
        if self.keys is not None:
            raise InputError("this model takes a dict of inputs", expected=list(self.keys), got=type(x).__name__)
        if len(self.names) == 1 and not (isinstance(x, list | tuple) and len(x) == 1 and _rank(x[0]) > 2):
            return [x]
        if not isinstance(x, list | tuple) or len(x) != len(self.names):
            count = len(x) if isinstance(x, list | tuple) else 1
            raise InputError("wrong number of inputs", expected=f"{len(self.names)}: {list(self.names)}", got=count)
        return list(x)

    def _array(self, value: Any, position: int) -> Array:
        name, type_ = self.names[position], self.types[position]
        try:
            array = np.asarray(value)
        except (ValueError, TypeError) as error:
            raise InputTypeError("an input must be an array", got=f"{name!r}: {error}") from error
        if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
            raise InputTypeError("inputs are bool, integer or float arrays", got=f"{name!r}: dtype {array.dtype}")
        self._check_shape(array, name, type_)
        if position == self.sequence:
            self.check_tokens(array)  # before the cast, which would round them
        array = np.ascontiguousarray(array, dtype=type_.dtype)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            where = np.argwhere(~np.isfinite(array))[0]
            raise InputError(
                "inputs must be finite", expected="no NaN, no infinity", got=f"{name!r}[{', '.join(map(str, where))}]"
            )
        return array

    @staticmethod
    def _check_shape(array: Array, name: str, type_: TensorType) -> None:
        if array.ndim != type_.rank:
            raise InputError("an input has the wrong rank", expected=str(type_), got=f"{name!r}: {list(array.shape)}")
        if len(array) == 0:
            raise InputError("at least one sequence is needed", got=f"{name!r}: {list(array.shape)}")
        for axis in range(1, type_.rank):
            if array.shape[axis] != type_.extent(axis):
                what = {1: "length", 2: "channel count"}.get(axis, f"extent of axis {axis}")
                raise InputError(
                    f"an input has the wrong {what}", expected=str(type_), got=f"{name!r}: {list(array.shape)}"
                )


def _rank(value: Any) -> int:
    return len(getattr(value, "shape", ())) or np.ndim(value)
