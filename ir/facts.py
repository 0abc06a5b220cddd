"""Facts: what the analyses record about a node, and the words they use."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fastism_compiler.ir.ranges import Carrier, ChangeRanges, Kept, State


class Section(StrEnum):
    """When a node is computed."""

    REFERENCE = "reference"
    """once per block of sequences"""
    TILE = "tile"
    """once per tile of mutated rows"""


class LayerClass(StrEnum):
    """What an op does to a change that reaches it (pass `classify-layers`)."""

    CONSTANT = "constant"
    INPUT = "input"
    LOCAL = "local"
    SEE_THROUGH = "see-through"
    POOLING = "pooling"
    AGGREGATION = "aggregation"
    RECURRENT = "recurrent"
    STOP = "stop"


class Form(StrEnum):
    """How a tile node stores its rows."""

    DELTA = "delta"
    """mutant - reference; 0 outside the sequence"""
    VALUE = "value"
    """the mutant's own values"""
    REFERENCE = "reference"
    """the reference's values at the same positions"""


@dataclass(slots=True)
class Facts:
    """What the analyses found out about a node; None where they have not run."""

    layer_class: LayerClass | None = None
    axis: int | None = None
    """Axis that holds sequence positions; None where there is none."""
    demand: tuple[int, int] | None = None
    """Positions on `axis` that the outputs need."""
    near: ChangeRanges | None = None
    """For each change, the positions on `axis` that `around` outputs need; None: all of `demand`."""
    state: State | None = None
    """Where the value may differ from the reference (pass `propagate-ranges`)."""
    segment: int | None = None
    """Number of its connected group of ops of one form (pass `segment`)."""
    form: Form | None = None
    """Before `insert-slice-assign`: the form this op's result should take in the tile."""
    carrier: Carrier | None = None
    kernel: str | None = None
    """Of a contraction on deltas: a key of `ir.kernels.KERNELS`."""
    ops: tuple[str, ...] = ()
    """Of a contraction in the tile: names of the reference ops that it computes, in order; several after
    `compose-convolutions`."""
    parts: int = 1
    """Number of parts a dense-kernel slice is read in (see `place-windows`)."""
    shared_start: bool = False
    """All rows of a tile store this value from the same position on."""
    kept: Kept | None = None
    """Of a reference value: the part that tiles read. Of an aggregation in the tile: the part of its running tables.
    None: all of it."""
    stops: str | None = None
    """Why acceleration stops here; None where it does not."""
    resumes: str | None = None
    """Why everything from the first change on is recomputed; None where it is not."""

    @property
    def reason(self) -> str | None:
        """Why this node has no window: it stops, or it resumes."""
        return self.stops or self.resumes
