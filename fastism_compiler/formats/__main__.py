"""The child process of `apart.write_apart`: `python -m fastism_compiler.formats FORMAT STORE PATH TRACK`."""

from __future__ import annotations

import errno
import os
import pickle
import sys
from pathlib import Path

from fastism_compiler.formats import FORMATS
from fastism_compiler.formats.apart import REFUSED
from fastism_compiler.formats.source import Source
from fastism_compiler.host.children import end_with_parent
from fastism_compiler.ir.errors import FastISMError


def main(to: str, store: str, path: str, track: str) -> int:
    """Write a store in a format, and read the file back; the exit code."""
    end_with_parent()
    try:
        source = Source(Path(store))
        form, target = FORMATS[to], Path(path)
        form.write(source, target, track or None)
        if form.check is not None:
            form.check(source, target)
    except (FastISMError, OSError) as error:
        return _refused(error)
    except RuntimeError as error:  # how h5py and pyBigWig tell that they could not write
        return _refused(OSError(errno.EIO, str(error), path))
    return 0


def _refused(error: Exception) -> int:
    sys.stdout.buffer.write(pickle.dumps(error))
    sys.stdout.buffer.flush()
    return REFUSED


if __name__ == "__main__":
    # skip the shutdown of the interpreter, in which h5py may crash after a failed write
    os._exit(main(*sys.argv[1:]))
