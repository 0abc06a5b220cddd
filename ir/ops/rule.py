"""What every op kind declares: the one place the passes learn about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fastism_compiler.ir.facts import Form, LayerClass
from fastism_compiler.ir.kernels.spec import Geometry
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


class DeltaLowering(StrEnum):
    """How `insert-slice-assign` writes a linear op that runs on deltas."""

    SAME = "same"
    """the op itself: deltas of what changes, the values of the other operands"""
    SUM = "sum"
    """a sum of operands: those that do not change drop out"""
    CONCAT = "concat"
    """operands side by side: zeros for those that do not change"""


Infer = Callable[[Sequence[TensorType], Attrs], TensorType]
Track = Callable[[Call, int, int], Effect]
Linear = Callable[[Call, Sequence[bool]], bool]
Work = Callable[[Call, int], int]
Vocabulary = Callable[[Call], int]
Cut = Callable[[Call, int, int, int], Attrs]
"""`(call, axis, begin, end) -> attributes`, for positions `[begin, end)` of an axis of the result"""
Geometries = Callable[[Call, int | None], Geometry]
"""`(call, axis of the window on operand 0; None where there is none) -> geometry`"""


def always(call: Call, changed: Sequence[bool]) -> bool:
    """Linear in whatever operands change."""
    return True


def never(call: Call, changed: Sequence[bool]) -> bool:
    """Needs the reference to turn a change of the input into one of the output."""
    return False


def no_work(call: Call, axis: int) -> int:
    """No multiply-adds worth counting."""
    return 0


def same_attrs(call: Call, axis: int, begin: int, end: int) -> Attrs:
    """Some positions of the result are the same op on some positions of its operands."""
    return call.attrs


def less_padding(track: Track) -> Cut:
    """Some positions of an op with attribute `pad`, which `track` follows: what is left of the padding."""

    def cut(call: Call, axis: int, begin: int, end: int) -> Attrs:
        effect = track(call, 0, axis)
        return {**call.attrs, "pad": effect.map.overhang(begin, end)} if isinstance(effect, Moves) else call.attrs

    return cut


@dataclass(frozen=True, slots=True)
class OpRule:
    """Everything the compiler knows about an op kind.

    What the op is, and what it does to a change:

    Attributes:
        kind: the op's name in the text form and in the emitter's tables.
        layer_class: what a change that reaches the op becomes.
        infer: result type from operand types and attributes; raises ValueError.
        track: where a window on `axis` of operand `i` goes.
        linear: whether deltas pass without the reference, given which operands change.
        work: multiply-adds, for positions on `axis` of operand 0, of one contact between an input position and an
            output position, of one step of a recurrence, or of all of an op that stops.
        contraction: multiplies and adds over operand 0; if linear, it runs on deltas of windows, which is cheaper.
        geometry: of a contraction that runs on deltas: its sizes, and so the kernels that compute it.
        composes: the op that composes two kernels, if two such ops in a row (stride 1, one group) equal one such op.
        delta_only: must run on deltas, which are 0 beyond the ends; values stored there would end up in the result.
        elementwise: each result element depends on the operand elements at its own place only.
        rematerialize: costs no more than reading a reference window from memory, so it is recomputed instead.
        ill_conditioned: a small change of the operand can change the result by orders of magnitude.
        magnifies: operands of which the digits count, however small they are: the closer to 0, the more the result
            changes with them (a logarithm's operand, a denominator). With each, the bits that it may lose.
        homogeneous: not linear, but the result scales with the operands: nothing happens near any one number but 0.
        piecewise_linear: not linear, but linear between kinks: it makes no more of the rounding of an operand than
            a linear op does.
        makes_non_finite: may turn finite numbers into NaN or infinity.
        drops_nan: on a CPU, XLA drops NaN from its result, or turns it into another number than the model does; only
            the operand shows whether there was one.
        whole_range: may cast floats to integers. TensorFlow and XLA differ on floats beyond the range of these; only
            the operand shows whether there was one.

    How passes and the emitter treat it:

    Attributes:
        declared: its type is given with the node, not inferred.
        leaf: nothing computes it: an input, a parameter, a literal.
        opaque: runs a call that the frontend bound (attribute `call`).
        macro: written by the frontend, expanded by `canonicalize`.
        tile: lives in the tile section only.
        enters: its windows are the change ranges themselves.
        delta_lowering: how it is written on deltas.
        negated: operands that a sum subtracts.
        over_windows: the tile op that aggregates a window with the reference's values before and after it.
        converts: the form it reads and the form it makes, where these differ.
        shape_only: operands of which only carrier and shape are read.
        in_place: reference operands that are read only at the positions where its own rows are stored.
        runs_on: aggregates its first operand with running (prefix and suffix) tables of its second.
        framed: only its positions near each change are wanted; as an output, it ends as a window.
        plumbing: moves rows between forms and places, without arithmetic of the model.
        any_carrier: reads rows wherever they are stored.
        cut: the attributes with which it makes only some positions of its result, from the positions of its operands
            that these need (`track` says which); None where it cannot.
        aligned: operands, and the axis of each of which the positions are those of the result, although a change of one
            position reaches all.
        crops: makes the positions `[begin, end)` of `axis`, and nothing else.
        regroups: merges or splits axes.
        keeps_tokens: passes integer tokens on unchanged.
        vocabulary: number of tokens it knows, if it reads tokens.
        closed_vocabulary: tokens outside the vocabulary are an error, not a row of zeros.
    """

    kind: str
    layer_class: LayerClass
    infer: Infer
    track: Track
    linear: Linear = never
    work: Work = no_work
    contraction: bool = False
    geometry: Geometries | None = None
    composes: str | None = None
    delta_only: bool = False
    elementwise: bool = False
    rematerialize: bool = False
    ill_conditioned: bool = False
    magnifies: Mapping[int, int] = field(default_factory=dict)
    homogeneous: bool = False
    piecewise_linear: bool = False
    makes_non_finite: bool = False
    drops_nan: bool = False
    whole_range: bool = False
    declared: bool = False
    leaf: bool = False
    opaque: bool = False
    macro: bool = False
    tile: bool = False
    enters: bool = False
    delta_lowering: DeltaLowering = DeltaLowering.SAME
    negated: tuple[int, ...] = ()
    over_windows: str | None = None
    converts: tuple[Form, Form] | None = None
    shape_only: tuple[int, ...] = ()
    in_place: tuple[int, ...] = ()
    runs_on: bool = False
    framed: bool = False
    plumbing: bool = False
    any_carrier: bool = False
    cut: Cut | None = None
    aligned: Mapping[int, int] = field(default_factory=dict)
    crops: bool = False
    regroups: bool = False
    keeps_tokens: bool = False
    vocabulary: Vocabulary | None = None
    closed_vocabulary: bool = False
