"""How many threads TensorFlow uses: rounding depends on it, so equal bits need equal threads."""

from __future__ import annotations

from fastism_compiler.ir.errors import OptionError


def set_threads(threads: int) -> None:
    """Let every operation run on this many threads, one operation at a time.

    Raises:
        OptionError: TensorFlow has already run in this process with another number.
    """
    # TensorFlow is imported late: the command line reads this module, and starts without it
    import tensorflow as tf

    threading = tf.config.threading
    try:
        if threading.get_intra_op_parallelism_threads() != threads:
            threading.set_intra_op_parallelism_threads(threads)
        if threading.get_inter_op_parallelism_threads() != 1:
            threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise OptionError(
            "the number of threads is set before TensorFlow runs for the first time",
            expected=f"{threads} from the start, or a new process",
            got=threading.get_intra_op_parallelism_threads(),
        ) from error
