"""The node: one op and the value it makes (static single assignment)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.facts import Facts, Section
from fastism_compiler.ir.ranges import Carrier, ChangeRanges, Constant, Full, Window
from fastism_compiler.ir.tiling import Prediction
from fastism_compiler.ir.types import TensorType


@dataclass(slots=True, eq=False)
class Node:
    """One op and the value it makes. Only a `Graph` creates nodes; it also updates operands and users.

    Attributes:
        id: number in the order of creation; unique in its graph.
        name: its name in the text form; unique in its graph.
        op: a key of `ir.ops.RULES`.
        attrs: the op's static arguments.
        type: shape and dtype of the value.
        layer: the layer it comes from (`outer/inner` in nested models).
        section: when it is computed.
        graph: the graph it belongs to.
        facts: what the analyses found out.
    """

    id: int
    name: str
    op: str
    attrs: Mapping[str, Any]
    type: TensorType
    layer: str | None
    section: Section
    graph: GraphView = field(repr=False)
    facts: Facts = field(default_factory=Facts)
    _operands: tuple[Node, ...] = field(default=(), repr=False)
    _users: dict[Node, int] = field(default_factory=dict, repr=False)
    """User -> how many of its operands this node is."""

    def __repr__(self) -> str:
        return f"<Node %{self.name} = {self.op}: {self.type}>"

    @property
    def operands(self) -> tuple[Node, ...]:
        """The producers of what it reads, in argument order."""
        return self._operands

    @property
    def users(self) -> tuple[Node, ...]:
        """The nodes that read it, once each, oldest first."""
        return tuple(sorted(self._users, key=lambda n: n.id))

    # What the analyses found out

    @property
    def is_constant(self) -> bool:
        """It is the same for every mutation."""
        return isinstance(self.facts.state, Constant)

    @property
    def changes(self) -> bool:
        """Some mutation may change it."""
        return not self.is_constant

    @property
    def is_full(self) -> bool:
        """It may differ from the reference everywhere."""
        return isinstance(self.facts.state, Full)

    @property
    def has_window(self) -> bool:
        """It may differ from the reference in a window per range, and nowhere else."""
        return isinstance(self.facts.state, Window)

    @property
    def in_tile(self) -> bool:
        """It is computed for rows of mutants."""
        return self.section is Section.TILE

    @property
    def changed_operands(self) -> tuple[Node, ...]:
        """The operands that some mutation may change."""
        return tuple(o for o in self._operands if o.changes)

    @property
    def window(self) -> Window:
        """Its state, which must be a window.

        Raises:
            IRError: constant, full, or not known yet.
        """
        if not isinstance(self.facts.state, Window):
            raise IRError("a window is needed", got=str(self.facts.state), node=self)
        return self.facts.state

    @property
    def carrier(self) -> Carrier:
        """Where its rows are stored.

        Raises:
            IRError: not stored as a window, or not placed yet.
        """
        if self.facts.carrier is None:
            raise IRError("a carrier is needed", got="none", node=self)
        return self.facts.carrier


class GraphView(Protocol):
    """The part of `Graph` that modules below it (printer, errors) read."""

    name: str
    inputs: list[Node]
    sequence: Node | None
    ranges: ChangeRanges | None
    prediction: Prediction | None

    @property
    def results(self) -> list[Node]:
        """What the graph returns as it stands: see `Graph.results`."""

    def nodes(self, section: Section | None = None) -> list[Node]:
        """All nodes (of one section), producers before users."""

    def excerpt(self, node: Node) -> list[str]:
        """The lines around a node, for error messages."""
