"""The error hierarchy: every message names the rule, what was expected and got, and where.

All errors derive from `FastISMError` and from the builtin that a caller
would naturally catch (`ValueError`, `TypeError`, `NotImplementedError`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastism_compiler.ir.graph import Graph, Node


class FastISMError(Exception):
    """Base of every error this package raises on purpose.

    Args:
        rule: the rule that was broken, as one sentence.
        expected: what the rule asks for.
        got: what was found instead.
        node: the IR node concerned; its Keras layer name is shown.
        graph: the graph around `node`; a few neighbouring lines are shown.
    """

    def __init__(
        self,
        rule: str,
        *,
        expected: Any = None,
        got: Any = None,
        node: Node | None = None,
        graph: Graph | None = None,
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
        if node is not None and graph is not None:
            from fastism_compiler.ir.printer import excerpt

            lines.append("around:")
            lines.extend("  " + line for line in excerpt(graph, node))
        super().__init__("\n".join(lines))


class RangeError(FastISMError, ValueError):
    """Change ranges that are empty, reversed, overhanging or of a wrong width."""


class InputError(FastISMError, ValueError):
    """Model inputs of a wrong number, rank, length, channel count or content."""


class InputTypeError(FastISMError, TypeError):
    """Model inputs of a kind or dtype that cannot be read as a sequence."""


class ReplacementError(FastISMError, ValueError):
    """A replacement whose shape or letters do not fit the change ranges."""


class LayerNameError(FastISMError, ValueError):
    """A layer name that the model does not have."""


class OptionError(FastISMError, ValueError):
    """A compile option with a value outside its domain."""


class ModelError(FastISMError, TypeError):
    """Something that is not a Keras 3 model this package can read."""


class UnsupportedError(FastISMError, NotImplementedError):
    """A model construct that is refused by name, never silently approximated."""


class ArtifactError(FastISMError, ValueError):
    """An exported program that is missing, damaged, of a newer format, or that cannot be written."""


class MemoryBudgetError(FastISMError, ValueError):
    """A memory budget below the smallest working set."""


class VerificationError(FastISMError, ValueError):
    """The compiled program and naive ISM disagree beyond rounding."""


class PassError(FastISMError, ValueError):
    """A pass failed, or left a graph that breaks the stage it promised."""


class IRError(FastISMError, ValueError):
    """A malformed graph: wrong types, missing facts, dangling operands."""
