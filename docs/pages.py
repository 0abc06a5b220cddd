"""The code of the documentation: every fenced block of a page, run in order in one namespace.

The tests run all pages, and `docs.draw` runs those whose code saves the pictures that they show.
"""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(__file__).parent
PAGES = tuple(sorted(FOLDER.glob("*.md")))
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=indent)```\s*$", re.MULTILINE | re.DOTALL
)
_COMMAND = "fastism-compiler "


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: what stands behind the fence; may be empty.
        code: its text, without the indentation of the fence.
        line: number of its first line of code in the page, from 1.
    """

    language: str
    code: str
    line: int


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        indent = match["indent"]
        code = "".join(line.removeprefix(indent) for line in match["code"].splitlines(keepends=True))
        found.append(Block(match["language"], code, text.count("\n", 0, match.start("code")) + 1))
    return found


def run(page: Path) -> dict[str, Any]:
    """Run a page's Python blocks, and its `fastism-compiler` commands, in the working folder.

    Returns:
        The namespace that the Python blocks share.

    Raises:
        RuntimeError: a command that ended with an error.
        Exception: whatever a Python block raises; the traceback shows the page's line.
    """
    module = ModuleType(f"page_{page.stem.replace('-', '_')}")
    sys.modules[module.__name__] = module  # dataclasses and Keras look classes up by their module
    try:
        for block in blocks(page):
            if block.language == "python":
                code = "\n" * (block.line - 1) + block.code
                exec(compile(code, str(page), "exec"), module.__dict__)
            if block.language == "bash":
                _run_commands(block)
    finally:
        del sys.modules[module.__name__]
    return module.__dict__


def _run_commands(block: Block) -> None:
    from click.testing import CliRunner

    from fastism_compiler.cli import main

    for line in block.code.replace("\\\n", " ").splitlines():
        if line.startswith(_COMMAND):
            result = CliRunner().invoke(main, shlex.split(line.removeprefix(_COMMAND), comments=True))
            if result.exit_code:
                raise RuntimeError(f"{line}\n{result.output}") from result.exception
