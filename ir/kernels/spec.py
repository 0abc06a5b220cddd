"""What a kernel declares: which contractions it computes, and what a row costs with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Contraction(StrEnum):
    """How an op multiplies and adds along the positions of its window."""

    CONVOLUTION = "convolution"
    """every position meets every tap; stride 1, one group of channels"""
    TRANSPOSED = "transposed convolution"
    """every position meets every tap; outputs of neighbouring positions are `stride` apart"""
    POSITIONS = "contraction of positions"
    """every position meets its own rows of the weights, and the products are summed"""
    OTHER = "other"
    """anything else: strides, groups, single positions, whole values"""


@dataclass(frozen=True, slots=True)
class Geometry:
    """The sizes of a contraction that do not depend on its window.

    Attributes:
        kind: what it does along positions; each kernel names the kinds that it computes.
        taps: positions that one output reads at most.
        channels: channels that one filter reads.
        filters: output channels of all groups.
        dilation: distance between taps.
        stride: of a transposed convolution, distance between the outputs of neighbouring positions.
        groups: groups of input channels.
    """

    kind: Contraction
    taps: int
    channels: int
    filters: int
    dilation: int = 1
    stride: int = 1
    groups: int = 1


@dataclass(frozen=True, slots=True)
class KernelShape:
    """The shape that a kernel runs at.

    Attributes:
        rows: mutated rows per tile.
        width: positions of a window as the kernel reads it.
        out_width: positions it computes.
        taps: positions that one output reads at most.
        channels: channels that one filter reads.
        filters: output channels.
        dilation: distance between taps.
        stride: of a transposed convolution, distance between the outputs of neighbouring positions.
    """

    rows: int
    width: int
    out_width: int
    taps: int
    channels: int
    filters: int
    dilation: int
    stride: int = 1


Elements = Callable[[KernelShape], int]


def _none(shape: KernelShape) -> int:
    return 0


def _always(shape: KernelShape, precision: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class KernelSpec:
    """Everything the planner and the emitter ask about a kernel; what it computes is in `emit/kernels`.

    What one row costs (see `passes.cost.kernels`):

    Attributes:
        multiply_adds: products, including those with zeros that the kernel inserts.
        scratch: elements of intermediate results.
        arranged: elements of the weights as rearranged for the products; 0 if they are read as they are.
        moved: elements that loops outside the products read and write, weighted by what they cost.
        starts: small operations in sequence, beyond those that every kernel starts.
        slowdown: time of a multiply-add, relative to one in a large product.
        arranging: cost of arranging an element of the weights, in multiply-adds; paid once a block, shared by its
            sequences.

    Where it can be used, and how:

    Attributes:
        name: as in the text form; the modules of the kernel, here and in `emit/kernels`, are called the same.
        computes: the contractions it can compute.
        applies: whether it is worth considering, given the shape and the precision.
        reads_only_changes: computes the positions that change and no others, from a window that holds what they read.
        contracts_positions: reads a slice of the weights, so all rows of a tile start at the same position.
        stores_operands: its rows and its result are read many times, so both are stored, not recomputed per reader.
        spares_products: takes fewer products than every position with every tap.
    """

    name: str
    computes: frozenset[Contraction]
    multiply_adds: Elements
    scratch: Elements = _none
    arranged: Elements = _none
    moved: Callable[[KernelShape], float] = _none
    starts: int = 0
    slowdown: float = 1.0
    arranging: float = 0.0
    applies: Callable[[KernelShape, str], bool] = _always
    reads_only_changes: bool = False
    contracts_positions: bool = False
    stores_operands: bool = False
    spares_products: bool = False
