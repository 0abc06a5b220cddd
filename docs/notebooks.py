"""The notebooks of `examples/notebooks/`, run from the first cell to the last: `python -m docs.notebooks`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "examples" / "notebooks"
NOTEBOOKS = tuple(sorted(FOLDER.glob("*.ipynb")))
_SECONDS = 600


def execute(path: Path) -> Any:
    """A notebook with the outputs of a run, in a process of its own.

    Raises:
        CellExecutionError: of a cell that fails.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=_SECONDS, resources={"metadata": {"path": str(path.parent)}})
    # as in a shell of a user, who has not set it
    client.execute(env={k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day
    return notebook


def messages(notebook: Any) -> Iterator[str]:
    """What a run printed to standard error."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "stream" and output.name == "stderr":
                yield output.text


def main() -> None:
    """Run all notebooks, or those that are named, and keep their outputs."""
    wanted = sys.argv[1:]
    for path in NOTEBOOKS:
        if not wanted or path.stem in wanted:
            nbformat.write(execute(path), path)
            print(path.name)


if __name__ == "__main__":
    main()
