"""Traced functions; and programs that run op by op instead, for checks that call each once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from typing import Any

from fastism_compiler.emit.functions import traced


class _Switch:
    """Of this process."""

    op_by_op = False


@contextmanager
def op_by_op(wanted: bool = True) -> Iterator[None]:
    """Inside, programs that XLA does not compile run operation by operation, and are not traced.

    Tracing is most of a first call. It is a switch of this process, for fuzzers and tests; a program keeps the way that
    it ran first. (TensorFlow's own switch would also change programs that run in other threads.)

    Args:
        wanted: False: they are traced, as always.
    """
    before, _Switch.op_by_op = _Switch.op_by_op, wanted
    try:
        yield
    finally:
        _Switch.op_by_op = before


class Traced:
    """A traced function, which is compiled by its first call: no two calls do so at once.

    Args:
        run: the function.
        jit: compile with XLA.
        signature: returns what it is traced for. The trace is called directly, not looked up (0.1 ms instead of 0.25).
    """

    def __init__(self, run: Callable[..., Any], jit: bool, signature: Callable[[], tuple[Any, ...]]) -> None:
        self._function, self._signature = traced(run, jit), signature
        self._plain = run if _Switch.op_by_op and not jit else None
        self._first, self._compiled = threading.Lock(), False
        if self._plain is None:
            _ = self.concrete  # traced here, before several threads call it

    @cached_property
    def concrete(self) -> Any:
        """The trace."""
        return self._function.get_concrete_function(*self._signature())

    @property
    def function(self) -> Any:
        """The traced function, as it is saved."""
        _ = self.concrete
        return self._function

    @property
    def outputs(self) -> Any:
        """The nest of its results, as symbolic tensors."""
        return self.concrete.structured_outputs

    def __call__(self, *arguments: Any) -> Any:
        """Call it."""
        if self._plain is not None:
            return self._plain(*arguments)
        with nullcontext() if self._compiled else self._first:
            results = self.concrete(*arguments)
            self._compiled = True
            return results
