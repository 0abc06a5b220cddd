"""The error hierarchy: every message names the rule, what was expected and got, and where.

All errors derive from `FastISMError` and from the builtin that a caller
would naturally catch (`ValueError`, `TypeError`, `NotImplementedError`).
"""

from __future__ import annotations

from typing import Any, Protocol


class Located(Protocol):
    """Something that an error can point at: a node of a graph."""

    name: str
    op: str
    layer: str | None
    graph: Any


class FastISMError(Exception):
    """Base of every error this package raises on purpose.

    Args:
        rule: the rule that was broken, as one sentence.
        expected: what the rule asks for.
        got: what was found instead.
        node: the IR node concerned; its layer's name is shown, and the lines around it in its graph.
    """

    def __init__(
        self,
        rule: str,
        *,
        expected: Any = None,
        got: Any = None,
        node: Located | None = None,
    ) -> None:
        self.rule, self.expected, self.got, self.node = rule, expected, got, node
        lines = [rule]
        if expected is not None:
            lines.append(f"expected: {expected}")
        if got is not None:
            lines.append(f"got:      {got}")
        if node is not None:
            lines.append(f"in node:  %{node.name} = {node.op}")
            lines.append(f"layer:    {node.layer or '(none)'}")
            around = node.graph.excerpt(node)
            lines.extend(["around:", *("  " + line for line in around)] if around else [])
        super().__init__("\n".join(lines))


class RangeError(FastISMError, ValueError):
    """Change ranges that are empty, reversed, outside the sequence or of a wrong width."""


class OptionError(FastISMError, ValueError):
    """A compile option with a value outside its domain."""


class PassError(FastISMError, ValueError):
    """A pass failed, broke a promise (`Pass.ensures`), or lacks a pass that it requires."""


class IRError(FastISMError, ValueError):
    """A malformed graph: wrong types, missing facts, dangling operands."""
