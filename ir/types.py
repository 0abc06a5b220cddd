"""Tensor types: a static shape whose leading axis may be the batch, and a dtype name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BATCH = None
"""Marks the batch axis in a shape. Only the leading axis may be the batch."""

FLOATS = ("bfloat16", "float16", "float32", "float64")

_EFFECT_DTYPES = {
    "bool": "int8",
    "int8": "int16",
    "uint8": "int16",
    "int16": "int32",
    "uint16": "int32",
    "int32": "int64",
    "uint32": "int64",
    "uint64": "int64",
}


def effect_dtype(dtype: str) -> str:
    """The dtype of `mutant - reference` for outputs of `dtype`: signed, and wider where differences need it.

    Booleans differ by -1, 0 or 1. Differences of int32 and of 64-bit integers are assumed to fit 32 and 64 bits.
    """
    return _EFFECT_DTYPES.get(dtype, dtype)


@dataclass(frozen=True, slots=True)
class TensorType:
    """The type of one value.

    `shape[0] is BATCH` for values that exist once per sequence; parameters
    and literals have no batch axis. Every other extent is a known integer.
    """

    shape: tuple[int | None, ...]
    dtype: str

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def batched(self) -> bool:
        return bool(self.shape) and self.shape[0] is BATCH

    def extent(self, axis: int) -> int:
        """The length of `axis`, which must not be the batch axis."""
        size = self.shape[axis]
        if size is None:
            raise IndexError("the batch axis has no static extent")
        return size

    def with_extent(self, axis: int, size: int) -> TensorType:
        """This type with another length on `axis`."""
        shape = list(self.shape)
        shape[axis] = size
        return TensorType(tuple(shape), self.dtype)

    @property
    def row_size(self) -> int:
        """Number of elements, the batch axis counted as one."""
        size = 1
        for extent in self.shape:
            size *= 1 if extent is None else extent
        return size

    def __str__(self) -> str:
        short = self.dtype.replace("bfloat", "bf").replace("float", "f").replace("int", "i")
        extents = ",".join("B" if extent is None else str(extent) for extent in self.shape)
        return f"{short}[{extents}]"


def broadcast(types: Sequence[TensorType]) -> tuple[int | None, ...]:
    """The numpy broadcast of several shapes; the batch axis meets only itself or 1.

    Raises:
        ValueError: extents that do not broadcast, or a batch axis that would
            meet another axis (an operation across sequences).
    """
    rank = max(t.rank for t in types)
    result: list[int | None] = []
    for position in range(rank):
        extents = set()
        for t in types:
            axis = position - (rank - t.rank)
            if axis >= 0:
                extents.add(t.shape[axis])
        extents.discard(1)
        if len(extents) > 1:
            raise ValueError(f"extents {sorted(map(str, extents))} do not broadcast")
        result.append(extents.pop() if extents else 1)
    return tuple(result)


def promote(types: Sequence[TensorType]) -> str:
    """The widest floating dtype among `types`, or the first dtype if none floats."""
    floats = [t.dtype for t in types if t.dtype in FLOATS]
    return max(floats, key=FLOATS.index) if floats else types[0].dtype
