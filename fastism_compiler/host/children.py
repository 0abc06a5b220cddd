"""Child processes of this package: how they find it, and how they end with their parent."""

from __future__ import annotations

import os
import threading
from pathlib import Path

_ROOT = Path(__file__).parents[2]
"""Where the package is imported from."""


def child_environment() -> dict[str, str]:
    """The environment of a child that imports the same package."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *filter(None, [environment.get("PYTHONPATH")])])
    return environment


def end_with_parent() -> None:
    """Exit when standard input, a pipe from the parent, is closed: the parent is gone."""

    def wait() -> None:
        # not sys.stdin: this thread would hold its lock at exit, and Python would abort
        while os.read(0, 1 << 10):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
