"""Quiet: commands do not show what TensorFlow's native code logs about its build, absent GPUs and XLA."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

_LEVEL, _NOTHING = "TF_CPP_MIN_LOG_LEVEL", "3"
_IMPORTED = {"TPU_ML_PLATFORM": "Tensorflow", _LEVEL: "1"}
"""What TensorFlow leaves in the environment of the processes that a process starts after it has imported TensorFlow."""
_SPEAKS = ("tensorflow", "keras")
"""Packages whose import writes to standard error before any level is read."""
_LOG = re.compile(rb"(WARNING: All log messages before absl::|[IWE]\d{4} |To enable the following instructions:)")


def quieten() -> None:
    """From now on, TensorFlow and XLA log fatal errors only: call it before TensorFlow or Keras is imported.

    A `TF_CPP_MIN_LOG_LEVEL` below 3 that the user has set is respected; one that TensorFlow has set in a parent
    process, such as a notebook, is not.
    """
    if all(os.environ.get(name) == value for name, value in _IMPORTED.items()):
        del os.environ[_LEVEL]
    if os.environ.setdefault(_LEVEL, _NOTHING) == _NOTHING:
        sys.meta_path[:0] = [_QuietImport(name) for name in _SPEAKS if name not in sys.modules]


class _QuietImport(MetaPathFinder):
    """Finds one package as others do, once, and lets its import write no log lines.

    Args:
        name: of the package.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of the package, with a quiet loader; None for every other name."""
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader)
        return spec


class _QuietLoader(Loader):
    """Runs a module as its own loader does, and keeps log lines from standard error."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As its own loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As its own loader does, but for log lines."""
        spec = module.__spec__
        if spec is not None:
            spec.loader = self._loader  # resources are found by the loader
        with _without_logs():
            self._loader.exec_module(module)


@contextmanager
def _without_logs() -> Iterator[None]:
    """Holds back what is written to standard error inside; writes it at the end, without log lines."""
    sys.stderr.flush()
    outside = os.dup(2)
    with tempfile.TemporaryFile() as waiting:
        os.dup2(waiting.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(outside, 2)
            os.close(outside)
            waiting.seek(0)
            kept = [line for line in waiting if not _LOG.match(line)]
            os.write(2, b"".join(kept)) if kept else None
