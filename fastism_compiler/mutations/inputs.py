"""What a model takes: its inputs checked, cast and put in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastism_compiler.errors import InputError, InputTypeError
from fastism_compiler.ir import TensorType
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.mutations.layout import SequenceLayout

Array = npt.NDArray[Any]
LONGEST = 1 << 27
"""Most positions of a sequence: more than half the longest human chromosome; one-hot in float32 they take 2 GiB."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The inputs of one program.

    Attributes:
        names: input names in flat order.
        types: their types; the batch axis is open.
        sequence: which of them is mutated.
        keys: dict keys in flat order where the model takes a dict.
        vocabulary: how many tokens there are, if the sequence is `[B, L]` of tokens.
        vocabularies: rows of the smallest Embedding that reads each input; None where no Embedding does: any
            number is accepted. Empty: not known; then the sequence keeps to `vocabulary`.
        layout: the model's own axes of the sequence, where they are not the `[batch, length, letters]` of `types`.
    """

    names: tuple[str, ...]
    types: tuple[TensorType, ...]
    sequence: int
    keys: tuple[str, ...] | None
    vocabulary: int | None = None
    vocabularies: tuple[int | None, ...] = ()
    layout: SequenceLayout | None = None

    def read(self, x: Any) -> list[Array]:
        """Check `x` and return the flat list of numpy inputs, the sequence as `[B, L, C]` or tokens `[B, L]`.

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
        """Check that a sequence of tokens, or what replaces one, holds tokens that the model accepts.

        An Embedding counts negative tokens from the end of its table, as Keras
        does. A one-hot encoding accepts every whole number: those it has no
        channel for become zeros.

        Raises:
            InputError: a token that an Embedding has no row for, or that is not a whole number.
        """
        if self.vocabulary is None:
            return
        rule = "tokens are whole numbers inside the vocabulary"
        if not np.isfinite(x).all():
            raise InputError(rule, got="NaN or infinity")
        _check_all(x == np.floor(x), x, rule, "whole numbers", "")
        rows = self.vocabularies[self.sequence] if self.vocabularies else self.vocabulary
        if rows is not None:
            _check_rows(x, rows, rule, "")

    def pack(self, arrays: list[Array]) -> Any:
        """Flat inputs in the form `read` and the model take: a dict, a list, or the array itself."""
        arrays = self.as_taken(arrays)
        if self.keys is not None:
            return dict(zip(self.keys, arrays, strict=True))
        return arrays if len(arrays) > 1 else arrays[0]

    def as_taken(self, arrays: Sequence[Array]) -> list[Array]:
        """Flat inputs with the sequence in the model's own layout."""
        if self.layout is None:
            return list(arrays)
        return [self.layout.write(x) if i == self.sequence else x for i, x in enumerate(arrays)]

    def taken(self, position: int) -> TensorType:
        """The type of an input as the model takes it."""
        type_ = self.types[position]
        if self.layout is None or position != self.sequence:
            return type_
        return TensorType((type_.shape[0], *self.layout.shape), type_.dtype)

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
        name, type_ = self.names[position], self.taken(position)
        try:
            array = np.asarray(value)
        except (ValueError, TypeError) as error:
            raise InputTypeError("an input must be an array", got=f"{name!r}: {error}") from error
        if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
            raise InputTypeError("inputs are bool, integer or float arrays", got=f"{name!r}: dtype {array.dtype}")
        self._check_shape(array, name, type_)
        # before the cast, which rounds, wraps and makes numbers of NaN
        if position == self.sequence:
            self.check_tokens(array)
        _check_finite(array, name)
        _check_held(array, name, type_.dtype)
        rows = self.vocabularies[position] if self.vocabularies and position != self.sequence else None
        if rows is not None:
            rule = "tokens are numbers inside the vocabulary of the Embedding that reads them"
            _check_rows(array, rows, rule, f"{name!r}")
        with np.errstate(over="ignore"):  # infinity is refused below
            array = np.ascontiguousarray(array, dtype=type_.dtype)
        _check_finite(array, name)
        return self.layout.read(array) if self.layout is not None and position == self.sequence else array

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


def check_length(length: Any, fixed: int | None = None) -> None:
    """Check `length=`, and whether it is the one that the model has fixed.

    Raises:
        OptionError: not a positive whole number, above `LONGEST`, or another length than the model has.
    """
    if length is None:
        return
    if isinstance(length, bool) or not isinstance(length, int | np.integer) or length < 1:
        raise OptionError("a length is a positive whole number", got=length)
    if length > LONGEST:
        raise OptionError("a sequence of this length does not fit", expected=f"at most {LONGEST}", got=length)
    if fixed is not None and fixed != length:
        raise OptionError("length= is for models that leave it open", expected=f"{fixed}, or none", got=length)


def _check_finite(array: Array, name: str) -> None:
    """Refuse NaN and infinity."""
    if array.dtype.kind not in "biu":
        _check_all(np.isfinite(array), array, "inputs must be finite", "no NaN, no infinity", f"{name!r}")


def _check_held(array: Array, name: str, dtype: str) -> None:
    """Refuse numbers that an integer input cannot hold; fractions are cut off, as Keras does."""
    if np.dtype(dtype).kind in "iu":
        bounds = np.iinfo(dtype)
        held = (array >= bounds.min) & (array <= bounds.max)
        _check_all(held, array, "an input exceeds its dtype", f"{dtype}: {bounds.min} .. {bounds.max}", f"{name!r}")


def _check_rows(tokens: Array, rows: int, rule: str, name: str) -> None:
    """Refuse what an Embedding of this many rows refuses: it cuts fractions off, and counts from the end below 0."""
    whole = np.trunc(tokens)
    _check_all((whole >= -rows) & (whole < rows), tokens, rule, f"0 .. {rows - 1}", name)


def _check_all(right: Array, array: Array, rule: str, expected: str, name: str) -> None:
    if right.all():
        return
    where = np.argwhere(~right)[0]
    place = f"[{', '.join(map(str, where))}]"
    raise InputError(rule, expected=expected, got=f"{array[tuple(where)]} at {name}{place}")


def _rank(value: Any) -> int:
    return len(getattr(value, "shape", ())) or np.ndim(value)
