"""Results as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown(head: str, rows: Iterable[Sequence[object]]) -> str:
    """A table: its first line as it is written, `| a | b |`, and the cells of each row."""
    lines = [head, "|" + "---|" * (head.count("|") - 1)]
    return "\n".join(lines + ["| " + " | ".join(map(str, cells)) + " |" for cells in rows])
