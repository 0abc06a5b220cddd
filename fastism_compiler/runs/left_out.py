"""The table of what a run left out, beside its result: one line a record, with the file, the line and the reason."""

from __future__ import annotations

from pathlib import Path

from fastism_compiler.genomics.errors import Refusals
from fastism_compiler.host.files import beside, write_text

_HEADER = ("file", "line", "reason", "found")


def left_out_path(output: Path) -> Path:
    """Where the table of an output stands."""
    return beside(output, f"{output.name}.left_out.tsv")


def write_left_out(output: Path, refusals: Refusals) -> None:
    """Write the table, or remove one that an earlier run has left where nothing is left out any more.

    Raises:
        OSError: it cannot be written.
    """
    path = left_out_path(output)
    if refusals.left_out:
        rows = [_HEADER, *refusals.left_out]
        write_text(path, ("\t".join(_cell(cell) for cell in row) + "\n" for row in rows))
    elif path.is_file() and path.read_text(errors="replace").startswith("\t".join(_HEADER)):
        path.unlink()


def _cell(text: str) -> str:
    """What a file holds may be anything; a cell is one line without tabs."""
    return " ".join(text.split())
