"""Writers whose libraries may crash the process: they run in a child process.

pyBigWig and h5py can end in a segmentation fault where a disk is full. The
child is `python -m fastism_compiler.formats FORMAT STORE PATH TRACK`.
"""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from pathlib import Path

from fastism_compiler.host.children import child_environment
from fastism_compiler.runs.errors import RunError

REFUSED = 3
"""Exit code of a child whose standard output is a pickled error."""


def write_apart(to: str, store: Path, path: Path, track: str | None) -> None:
    """Write a store in a format, and read the file back, in a child process.

    Args:
        to: the format.
        store: a complete store.
        path: where to write.
        track: see `convert`.

    Raises:
        FastISMError, OSError: what the writer raises.
        RunError: the child crashed.
    """
    with subprocess.Popen(
        _command(to, str(store), str(path), track or ""),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=child_environment(),
    ) as child:
        # open as long as this process lives: the child ends when the system closes it
        alive, child.stdin = child.stdin, None
        try:
            output, errors = child.communicate()
        finally:
            child.kill()
            if alive is not None:
                alive.close()
    if child.returncode == 0:
        return
    if child.returncode == REFUSED:
        raise pickle.loads(output)
    code = child.returncode
    ended = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
    raise RunError(
        f"the process that writes {to} crashed; nothing is written, and the store is as it was",
        expected="room for the file; a library without this fault",
        got=f"{ended}: {last}",
    )


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "fastism_compiler.formats", *arguments]
