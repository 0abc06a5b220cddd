"""Write the page that says what becomes of every ONNX operator.

python -m docs.operators          # writes docs/onnx-operators.md, from the graphs that the tests compile

Each was compared with ONNX Runtime, on its own and with most of its options.
"""

from __future__ import annotations

from collections import defaultdict

from docs.pages import FOLDER
from fastism_compiler.frontend.onnx.operators import OPERATORS
from tests.frontend.onnx.operators import CASES, built

PAGE = FOLDER / "onnx-operators.md"
_HEAD = """# ONNX operators

What `fc.compile("model.onnx")` compiles, written by `python -m docs.operators` from the graphs of the tests, in which
each operator is applied to the sequence. *windowed*: a change stays in a window, and only the window is computed.
*whole*: every position of the result may change, or it has no positions; sums, means and maxima over positions, and
products with them, are still updated by what changed. Constants may be computed by any ONNX operator.

| operator | tried as | becomes |
|---|---|---|
"""


def page() -> str:
    """The page's text."""
    tried = defaultdict(list)
    for name, case in CASES.items():
        meant = {name.partition(" ")[0].rstrip(","), *_of_case(name)}
        for kind in {node.op_type for node in built(case).graph.node} & meant:
            tried[kind].append((name, case.window))
    rows = []
    for kind in sorted(OPERATORS):
        cases = tried.get(kind, [])
        windows = {window for _, window in cases}
        becomes = "windowed" if windows == {True} else "whole" if windows == {False} else "windowed, or whole"
        names = "; ".join(name for name, _ in cases if name != kind) or "itself"
        rows.append(f"| `{kind}` | {names} | {becomes if cases else 'windowed'} |\n")
    return _HEAD + "".join(rows)


def _of_case(name: str) -> set[str]:
    """Operators that a test case is named after: those that are words of its name."""
    return {kind for kind in OPERATORS if kind in name.split()}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
