"""Whether this process is a forked child of one that had TensorFlow running, which does not survive that."""

from __future__ import annotations

import os
import sys

from fastism_compiler.errors import UnsupportedError

_forked_from: list[int] = []


def _remember() -> None:
    if "tensorflow" in sys.modules:
        _forked_from.append(os.getppid())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_remember)


def check_process() -> None:
    """Refuse to go on in a forked child, where TensorFlow hangs.

    Raises:
        UnsupportedError: TensorFlow was imported before the fork.
    """
    if _forked_from:
        raise UnsupportedError(
            "a program runs in the process that compiled it: TensorFlow does not survive a fork",
            expected='processes started by "spawn", each with a program of its own (compile or load it there)',
            got=f"process {os.getpid()}, forked from {_forked_from[0]}",
        )
