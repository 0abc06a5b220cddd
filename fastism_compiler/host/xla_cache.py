"""An opt-in cache of compiled programs on disk, kept by XLA between processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fastism_compiler.ir.errors import OptionError


def use_compilation_cache(folder: str | os.PathLike[str]) -> None:
    """Keep XLA's compiled programs in `folder`, so that the next process does not compile them again.

    TensorFlow does not document this feature, and reads its flag once: call
    this before anything imports TensorFlow. A program is found again if the
    model, the ranges, the block size and the TensorFlow version are the same.

    Args:
        folder: made if it does not exist. Files in it are never removed.

    Raises:
        OptionError: TensorFlow is imported already, or the folder cannot be made.
    """
    if "tensorflow" in sys.modules:
        raise OptionError(
            "the compilation cache is chosen before TensorFlow is imported",
            expected="use_compilation_cache(...) as the first call",
            got="TensorFlow imported already",
        )
    path = Path(folder).expanduser().resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError("the folder of the compilation cache cannot be made", got=str(error)) from error
    flags = os.environ.get("TF_XLA_FLAGS", "")
    os.environ["TF_XLA_FLAGS"] = f"{flags} --tf_xla_persistent_cache_directory={path}".strip()
