"""What every op kind declares: the one place the passes learn about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.position_map import PositionMap
from fastism_compiler.ir.types import TensorType

Attrs = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One use of an op: its attributes, operand types and result type."""

    attrs: Attrs
    operands: tuple[TensorType, ...]
    result: TensorType


@dataclass(frozen=True, slots=True)
class Moves:
    """A window stays a window: positions go to `axis` of the result through `map`."""

    axis: int
    map: PositionMap


@dataclass(frozen=True, slots=True)
class Aggregates:
    """The window is summed, maximised or contracted away; only changed positions are read.

    `map` has one output position per aggregate, so that `contacts` counts work.
    """

    map: PositionMap


@dataclass(frozen=True, slots=True)
class Stops:
    """No window rule: the op is recomputed on the whole value."""

    reason: str


@dataclass(frozen=True, slots=True)
class Resumes:
    """A state runs along `length` positions, backwards if `reverse`: everything from the first change on may change."""

    length: int
    reverse: bool


Effect = Moves | Aggregates | Resumes | Stops

Infer = Callable[[Sequence[TensorType], Attrs], TensorType]
Track = Callable[[Call, int, int], Effect]
Linear = Callable[[Call, Sequence[bool]], bool]
Work = Callable[[Call], int]


def always(call: Call, changed: Sequence[bool]) -> bool:
    """Linear in whatever operands change."""
    return True


def never(call: Call, changed: Sequence[bool]) -> bool:
    """Needs the reference to turn a change of the input into one of the output."""
    return False


def free(call: Call) -> int:
    """No multiply-adds worth counting."""
    return 0


@dataclass(frozen=True, slots=True)
class OpRule:
    """Everything the compiler knows about an op kind.

    Attributes:
        kind: the op's name in the text form and in the emitter's tables.
        layer_class: what a change that reaches the op becomes.
        infer: result type from operand types and attributes; raises ValueError.
        track: where a window on `axis` of operand `i` goes.
        linear: whether deltas pass without the reference, given which operands change.
        heavy: does arithmetic that is cheaper on deltas, so it always gets them.
        delta_only: rewrites positions in a way that overhanging values would not survive; deltas are 0 there.
        elementwise: result positions depend on equal operand positions only.
        cheap: costs no more than reading a reference window from memory.
        explosive: a small change of the operand can change the result by orders of magnitude.
        work: multiply-adds of one contact between an input position and an output position, of one
            step of a recurrence, or of all of an op that stops.
    """

    kind: str
    layer_class: LayerClass
    infer: Infer
    track: Track
    linear: Linear = never
    heavy: bool = False
    delta_only: bool = False
    elementwise: bool = False
    cheap: bool = False
    explosive: bool = False
    work: Work = free
