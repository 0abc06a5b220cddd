"""An opt-in cache of compiled programs on disk, kept by XLA between processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fastism_compiler.ir.errors import OptionError


def use_compilation_cache(folder: str | os.PathLike[str]) -> None:
    """Keep XLA's compiled programs in `folder`, so that the next process does not compile them again.

    TensorFlow does not document this feature, and reads its flag once, with
    its first operation: call this right after the imports, before a model is
    built or loaded. A program is found again if the model, the ranges, the
    block size and the TensorFlow version are the same. A file that was damaged
    ends every program that needs it with an error of TensorFlow: remove the
    folder then. So the cache is not on by default.

    Args:
        folder: made if it does not exist. Files in it are never removed. Machines with other processors, or another
            version of TensorFlow, need a folder of their own.

    Raises:
        OptionError: TensorFlow has run an operation already, or the folder cannot be made.
    """
    if _has_run():
        raise OptionError(
            "the compilation cache is chosen before TensorFlow runs anything",
            expected="use_compilation_cache(...) right after the imports",
            got="a model, or a tensor, that is there already",
        )
    path = Path(folder).expanduser().resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError("the folder of the compilation cache cannot be made", got=str(error)) from error
    flags = os.environ.get("TF_XLA_FLAGS", "")
    os.environ["TF_XLA_FLAGS"] = f"{flags} --tf_xla_persistent_cache_directory={path}".strip()


def _has_run() -> bool:
    """Whether TensorFlow has set itself up, as it does with its first operation."""
    if "tensorflow" not in sys.modules:
        return False
    from tensorflow.python.eager import context  # no public name tells without setting it up

    return bool(getattr(context.context(), "_initialized", True))
