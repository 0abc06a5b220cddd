"""A device that runs out of memory: said in one way, whichever library runs the program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastism_compiler.errors import MemoryBudgetError, first_line
from fastism_compiler.ir.errors import FastISMError

_SIGNS = ("RESOURCE_EXHAUSTED", "OOM when allocating", "out of memory", "failed to allocate memory")
"""What TensorFlow, XLA, CUDA and ONNX Runtime write, in any case of letters."""


@contextmanager
def out_of_memory_told() -> Iterator[None]:
    """Inside, a library that finds no memory is told from one that fails.

    Raises:
        MemoryBudgetError: the library found no memory. Other errors are raised as they are.
    """
    try:
        yield
    except FastISMError:
        raise
    except Exception as error:  # each library raises its own kinds
        text = str(error).lower()
        if not any(sign.lower() in text for sign in _SIGNS):
            raise
        raise MemoryBudgetError(
            "the device has too little memory left for this program",
            expected="a smaller memory_budget= or batch_size=, or other processes on the device ended",
            got=first_line(error),
        ) from error
