"""Triton (loaded by PyTorch's exporter) and TensorFlow in one process: Triton must be loaded first.

Both bring an LLVM of their own. Loading triton 3.8 after TensorFlow 2.21 ends the process with a segmentation fault;
the other order works.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module


def load_triton() -> None:
    """Load triton, if it is installed and TensorFlow is not loaded yet."""
    if "tensorflow" not in sys.modules:
        with suppress(ImportError):
            import_module("triton")


@contextmanager
def without_triton() -> Iterator[None]:
    """A context in which triton cannot be loaded after TensorFlow; PyTorch exports without it."""
    if "triton" in sys.modules or "tensorflow" not in sys.modules:
        yield
        return
    sys.modules["triton"] = None  # type: ignore[assignment] # makes `import triton` raise ImportError
    try:
        yield
    finally:
        del sys.modules["triton"]
