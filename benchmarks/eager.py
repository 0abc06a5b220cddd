"""Programs without XLA, run op by op: tracing is most of a first call, and these make one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def op_by_op(wanted: bool = True) -> Iterator[None]:
    """Inside, functions that XLA does not compile are not traced.

    Args:
        wanted: False: they are, as always.
    """
    import tensorflow as tf  # late: a process that only shares out the work does without it

    tf.config.run_functions_eagerly(wanted)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
