"""The table of what a run left out, beside its result: one line a record, with the file, the line and the reason."""

from __future__ import annotations

from collections.abc import Iterator
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
    if refusals.counts:
        write_text(path, _lines(refusals))
    elif path.is_file() and path.read_text(errors="replace").startswith("\t".join(_HEADER)):
        path.unlink()


def _lines(refusals: Refusals) -> Iterator[str]:
    yield "\t".join(_HEADER) + "\n"
    refusals.left_out.seek(0)
    yield from refusals.left_out
