"""Refuses to run in a forked child of a process that had started TensorFlow, which does not survive a fork."""

from __future__ import annotations

import os
import sys

from fastism_compiler.errors import UnsupportedError

_forked_from: list[int] = []


def _remember() -> None:
    if _tensorflow_has_started():
        _forked_from.append(os.getppid())


def _tensorflow_has_started() -> bool:
    """Whether TensorFlow has threads: it starts them with the first variable or tensor, not when imported.

    No public function tells, so this reads a private attribute; if that is missing, the import counts.
    """
    if "tensorflow" not in sys.modules:
        return False
    context = getattr(sys.modules.get("tensorflow.python.eager.context"), "_context", None)
    return bool(getattr(context, "_initialized", True))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_remember)


def check_process() -> None:
    """Refuse to go on in a forked child, where TensorFlow hangs.

    Raises:
        UnsupportedError: TensorFlow was in use before the fork.
    """
    if _forked_from:
        raise UnsupportedError(
            "a program runs in the process that compiled it: TensorFlow does not survive a fork",
            expected='processes started by "spawn", each with a program of its own (compile or load it there)',
            got=f"process {os.getpid()}, forked from {_forked_from[0]}",
        )
