"""insert-slice-assign: build the tile section, with every read of the reference explicit.

Until here the graph is the model. This pass adds, for every changed node,
its counterpart that runs on rows of mutants, and between counterparts of
different form the ops that slice the reference and assign the change:

    reference:                              tile:
      %h = add(conv(%x, %k), %b)              %d = conv(input_delta(%x), %k)    delta
      %y = relu(%h)                           %r = reference_window(%h, %d)     reference
      %z = conv(%y, %k2)              =>      %v = slice_assign(%d, %r)         value
                                              %y' = relu(%v)                    value
                                              %e = difference(%y', relu(%r))    delta
                                              %z' = conv(%e, %k2)               delta
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from fastism_compiler.ir.checks import (
    deltas_meet_linear_ops,
    forms_agree,
    has_form,
    has_range,
    has_tile_outputs,
    operands_are_demanded,
    range_holds_what_arrives,
)
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.facts import Form, LayerClass, Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.ops import RULES
from fastism_compiler.ir.ops.rule import DeltaLowering
from fastism_compiler.ir.queries import map_of, rule_of, wanted
from fastism_compiler.ir.ranges import Full, State, Window
from fastism_compiler.ir.verifier import StageSpec
from fastism_compiler.passes.base import Context, Kind, Pass


@dataclass(frozen=True)
class InsertSliceAssignPass(Pass):
    """Lower the annotated model to a reference section and a tile section.

    1. A delta that a by-value segment reads is assigned onto its reference window.
    2. From a value that a linear op on deltas reads, the reference is subtracted:
       recomputed on the window if that is cheap, read from its table otherwise.
    3. A window that a stop reads is materialised: laid over the whole reference.
    4. Constants that have positions or a batch axis are read as windows.
    5. A recurrence resumes from the table of the reference's states.
    6. Each output ends as a whole value per row; in a sparse program, one with
       positions ends as a window of deltas; one around the change as a window of values.

    Reference nodes that nothing reads any more are pruned.
    """

    name: ClassVar[str] = "insert-slice-assign"
    kind: ClassVar[Kind] = Kind.TRANSFORM
    requires: ClassVar[tuple[str, ...]] = ("segment",)
    ensures: ClassVar[StageSpec] = StageSpec(
        tile=(
            has_form,
            has_range,
            operands_are_demanded,
            range_holds_what_arrives,
            deltas_meet_linear_ops,
            forms_agree,
        ),
        graph=(has_tile_outputs,),
        lowered=True,
    )

    def run(self, graph: Graph, context: Context) -> None:
        tile = _TileBuilder(graph)
        for node in graph.nodes(Section.REFERENCE):
            if node.changes:
                tile.lower(node)
        graph.tile_outputs = [tile.output(n, context.sparse) for n in graph.outputs]
        graph.prune()


class _TileBuilder:
    """Builds tile nodes; remembers the counterpart of each reference node in each form."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.rows: dict[tuple[Node, Form, bool], Node] = {}
        """(reference node, form, materialised) -> tile node"""
        self.twins: dict[Node, Node | None] = {}
        """by-value tile node -> the same computation on the reference window"""
        self.constants: dict[tuple[Node, Node], Node] = {}

    # Lowering one op

    def lower(self, node: Node) -> None:
        """Make the tile counterpart of a changed reference node, in its chosen form."""
        form = node.facts.form
        if node is self.graph.sequence:
            made = self._add(node, "input_delta", [node], form=Form.DELTA)
        elif self._resumes(node):
            made = self._resume(node)
        elif node.facts.layer_class is LayerClass.STOP or not self._stays_window(node):
            made = self._lower_whole(node)
        elif form is Form.DELTA:
            made = _DELTA[rule_of(node).delta_lowering](self, node)
        else:
            made = self._by_value(node)
        self.rows[node, made.facts.form or Form.VALUE, node.is_full] = made

    def _stays_window(self, node: Node) -> bool:
        """Whether the op can read its changed operands as windows."""
        if node.facts.layer_class is LayerClass.AGGREGATION:
            return True
        return node.has_window

    def _lower_whole(self, node: Node) -> Node:
        """An op on whole values: each row stands for a whole sequence."""
        if node.facts.form is Form.DELTA:
            return _DELTA[rule_of(node).delta_lowering](self, node, whole=True)
        like = self.whole(node.changed_operands[0], Form.VALUE)
        return self._copy(node, self._operands(node, Form.VALUE, like, whole=True))

    def _by_value(self, node: Node) -> Node:
        changed = node.changed_operands[0]
        like = self.window(changed, Form.VALUE)
        if node.facts.layer_class is LayerClass.AGGREGATION:
            return self._add(node, _over_windows(node), [like, changed], node.attrs, form=Form.VALUE)
        return self._copy(node, self._operands(node, Form.VALUE, like))

    def _resumes(self, node: Node) -> bool:
        return node.facts.layer_class is LayerClass.RECURRENT and node.changed_operands[0].has_window

    def _resume(self, node: Node) -> Node:
        """A recurrence that starts from the reference's state in front of the first change."""
        projections, *parameters = node.operands
        states = self.graph.add("recurrent_states", [projections, *parameters], node.attrs, layer=node.layer)
        facts, own = node.facts, states.facts
        own.layer_class, own.state, own.segment, own.form = facts.layer_class, facts.state, facts.segment, facts.form
        rows = self.window(projections, Form.VALUE)
        return self._add(node, "resume", [rows, projections, states, *parameters], node.attrs, form=Form.VALUE)

    def _delta(self, node: Node, whole: bool = False) -> Node:
        """A linear op on the deltas of its changed operands and the values of the others."""
        like = self._rows(node.changed_operands[0], Form.DELTA, whole)
        return self._copy(node, self._operands(node, Form.DELTA, like, whole), form=Form.DELTA)

    def _delta_sum(self, node: Node, whole: bool = False) -> Node:
        """A sum of operands: unchanged terms drop out."""
        operands = node.operands
        deltas = [None if o.is_constant else self._rows(o, Form.DELTA, whole) for o in operands]
        present = [d for d in deltas if d is not None]
        if len(present) == len(operands):
            return self._copy(node, present, form=Form.DELTA)
        (made,) = present
        if deltas.index(made) in rule_of(node).negated:
            made = self._add(node, "negative", [made], form=Form.DELTA)
        if made.type.shape != node.type.shape:
            made = self._add(node, "broadcast", [made], {"shape": node.type.shape[1:]}, form=Form.DELTA)
        return made

    def _delta_concat(self, node: Node, whole: bool = False) -> Node:
        """Over channels: zeros where nothing changed. Over positions: a sum of shifted operands."""
        operands = node.operands
        changed = node.changed_operands[0]
        like = self._rows(changed, Form.DELTA, whole)
        state = node.facts.state
        if not isinstance(state, Window) or state.axis != node.attrs["axis"]:
            parts = [
                self._add(o, "zero_delta", [o, like], form=Form.DELTA, state=self._state_for(like))
                if o.is_constant
                else self._rows(o, Form.DELTA, whole)
                for o in operands
            ]
            return self._copy(node, parts, form=Form.DELTA)
        shifted = [self._shifted(node, i, whole) for i, o in enumerate(operands) if o.changes]
        made = shifted[0]
        for term in shifted[1:]:
            # a partial sum changes where its own terms do
            ranges = wanted(node, made.window.ranges.union(term.window.ranges))
            partial = Window(state.axis, ranges, state.length)
            made = self._add(node, "add", [made, term], form=Form.DELTA, state=partial)
        return made

    def _shifted(self, concat: Node, position: int, whole: bool) -> Node:
        """One operand of a concatenation over positions, padded to the length of the result."""
        operands, axis = concat.operands, concat.attrs["axis"]
        extents = [o.type.extent(axis) for o in operands]
        left, right = sum(extents[:position]), sum(extents[position + 1 :])
        rows = self._rows(operands[position], Form.DELTA, whole)
        moved = rows.window.ranges.through(map_of(concat, position, axis))
        state = Window(axis, moved, concat.type.extent(axis))
        attrs = {"axis": axis, "left": left, "right": right}
        return self._add(concat, "pad", [rows], attrs, form=Form.DELTA, state=state)

    # Operands in the form a user needs

    def _operands(self, node: Node, form: Form, like: Node, whole: bool = False) -> list[Node]:
        """Operands for a tile op: rows of the changed ones; constants as they are, or windows of them."""
        operands = []
        for operand in node.operands:
            if operand.changes:
                operands.append(self._rows(operand, form, whole))
            elif rule_of(node).elementwise or operand.type.batched:
                operands.append(self._constant(operand, like))
            else:
                operands.append(operand)
        return operands

    def _rows(self, node: Node, form: Form, whole: bool) -> Node:
        return self.whole(node, form) if whole else self.window(node, form)

    def output(self, node: Node, sparse: bool) -> Node:
        """The rows of an output as they are returned."""
        if node.has_window and rule_of(node).framed:
            return self.window(node, Form.VALUE)
        return self.window(node, Form.DELTA) if node.has_window and sparse else self.whole(node, Form.VALUE)

    def window(self, node: Node, form: Form) -> Node:
        """The rows of a changed node in `form`, converted if they have the other one."""
        full = node.is_full
        key = (node, form, full)
        if key not in self.rows:
            other = self.rows[node, Form.VALUE if form is Form.DELTA else Form.DELTA, full]
            self.rows[key] = self._assign(node, other) if form is Form.VALUE else self._subtract(node, other)
        return self.rows[key]

    def whole(self, node: Node, form: Form) -> Node:
        """The rows of a changed node as whole values, or whole deltas."""
        if node.is_constant:
            return self._add(node, "reference_window", [node, node], form=Form.VALUE, state=Full())
        if node.is_full:
            return self.window(node, form)
        key = (node, form, True)
        if key not in self.rows:
            delta = self.rows.get((node, Form.DELTA, False))
            if form is Form.DELTA or delta is None:
                rows = self.window(node, form)
                operands = [rows] if form is Form.DELTA else [rows, node]
                self.rows[key] = self._add(node, "materialise", operands, form=form, state=Full())
            else:
                self.rows[key] = self._assign(node, self.whole(node, Form.DELTA))
        return self.rows[key]

    def _assign(self, node: Node, delta: Node) -> Node:
        reference = self._reference(node, delta)
        return self._add(node, "slice_assign", [delta, reference], form=Form.VALUE, state=self._state_for(delta))

    def _subtract(self, node: Node, value: Node) -> Node:
        reference = self._twin(value) or self._reference(node, value)
        return self._add(node, "difference", [value, reference], form=Form.DELTA, state=self._state_for(value))

    def _reference(self, node: Node, like: Node) -> Node:
        state = self._state_for(like) if self._has_positions(node, like) else Full()
        return self._add(node, "reference_window", [node, like], form=Form.REFERENCE, state=state)

    def _twin(self, value: Node) -> Node | None:
        """The computation of `value` repeated on the reference window; None where reading is cheaper."""
        if value not in self.twins:
            self.twins[value] = self._make_twin(value)
        return self.twins[value]

    def _make_twin(self, value: Node) -> Node | None:
        if value.section is Section.REFERENCE or value.facts.form is Form.REFERENCE:
            return value
        operands = value.operands
        if rule_of(value).converts == (Form.DELTA, Form.VALUE):
            return operands[1]  # the reference window that the delta was assigned onto
        if not rule_of(value).rematerialize or value.is_full:
            return None
        twins = [self._twin(o) for o in operands]
        if any(t is None for t in twins):
            return None
        made = self._add(
            value,
            value.op,
            [t for t in twins if t is not None],
            value.attrs,
            form=Form.REFERENCE,
            state=value.facts.state,
        )
        return made

    def _constant(self, node: Node, like: Node) -> Node:
        """A constant as it is if every row shares it, else a window of it."""
        if not node.type.batched and not self._has_positions(node, like):
            return node
        key = (node, like)
        if key not in self.constants:
            self.constants[key] = self._reference(node, like)
        return self.constants[key]

    @staticmethod
    def _has_positions(node: Node, like: Node) -> bool:
        state = like.facts.state
        if not isinstance(state, Window):
            return False
        axis = state.axis - like.type.rank + node.type.rank
        return axis >= int(node.type.batched) and node.type.extent(axis) == state.length

    @staticmethod
    def _state_for(like: Node) -> State:
        return like.facts.state or Full()

    # Adding nodes

    def _copy(self, node: Node, operands: Sequence[Node], form: Form = Form.VALUE) -> Node:
        return self._add(node, node.op, operands, node.attrs, form=form)

    def _add(
        self,
        node: Node,
        op: str,
        operands: Sequence[Node],
        attrs: Mapping[str, Any] | None = None,
        *,
        form: Form,
        state: State | None = None,
    ) -> Node:
        suffix = {Form.DELTA: "d", Form.VALUE: "v", Form.REFERENCE: "r"}[form]
        declared = node.type if RULES[op].declared else None
        made = self.graph.add(
            op,
            operands,
            attrs,
            type=declared,
            layer=node.layer,
            section=Section.TILE,
            name=f"{node.name.split('.')[0]}.{suffix}",
        )
        made.facts.form = form
        made.facts.state = state or node.facts.state
        made.facts.segment = node.facts.segment
        made.facts.layer_class = node.facts.layer_class
        made.facts.ops = (node.name,) if rule_of(made).contraction else ()
        if made.has_window:
            axis = made.facts.axis = made.window.axis
            made.facts.demand = node.facts.demand or (0, made.type.extent(axis))
            made.facts.near = node.facts.near
        return made


def _over_windows(node: Node) -> str:
    """The tile op of an aggregation that takes values.

    Raises:
        IRError: its rule names none.
    """
    kind = rule_of(node).over_windows
    if kind is None:
        raise IRError("a nonlinear aggregation needs a tile op over windows", got=node.op, node=node)
    return kind


_DELTA: dict[DeltaLowering, Callable[..., Node]] = {
    DeltaLowering.SAME: _TileBuilder._delta,
    DeltaLowering.SUM: _TileBuilder._delta_sum,
    DeltaLowering.CONCAT: _TileBuilder._delta_concat,
}
"""How a linear op is written on deltas."""
