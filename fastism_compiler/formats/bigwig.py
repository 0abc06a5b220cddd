"""bigWig and bedGraph: importance per position along the genome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastism_compiler.extras import missing_extra
from fastism_compiler.formats.importance import importance_by_chromosome
from fastism_compiler.formats.source import Source
from fastism_compiler.host.files import check_ending, not_whole, write_text

_END = bytes.fromhex("26fc8f88")
"""The last bytes of every whole bigWig file."""
_BYTES_PER_VALUE = 4


def write_bigwig(source: Source, path: Path, track: str | None) -> None:
    """Importance as bigWig, chromosomes in the order of their names.

    Raises:
        OptionError: pyBigWig is not installed; or see `importance_by_chromosome`.
    """
    library, found = _library(), importance_by_chromosome(source, track)
    file = library.open(str(path), "w")
    file.addHeader(sorted((chrom, length) for chrom, length in source.chromosomes().items()))
    for chrom in sorted(found):
        at, values = found[chrom]
        if len(at):
            file.addEntries([chrom] * len(at), at.tolist(), ends=(at + 1).tolist(), values=values.tolist())
    file.close()


def check_bigwig(source: Source, path: Path) -> None:
    """Read the header, the chromosomes and the end of the file back.

    Raises:
        OSError: it is not whole.
    """
    check_ending(path, _END)
    try:
        file = _library().open(str(path))
        there = file.chroms()
        file.close()
    except RuntimeError as error:
        raise not_whole(path, error) from error
    if there != source.chromosomes():
        raise not_whole(path, f"chromosomes {list(there)[:3]}")


def bigwig_size(source: Source, track: str | None) -> int:
    """Bytes that a bigWig takes at least, if its regions do not overlap: the values alone."""
    del track
    return source.rows * len(source.need_letters("a track of importance")) * _BYTES_PER_VALUE


def write_bedgraph(source: Source, path: Path, track: str | None) -> None:
    """Importance as bedGraph, one line per position.

    Raises:
        OptionError: see `importance_by_chromosome`.
    """
    found = importance_by_chromosome(source, track)
    write_text(
        path,
        (
            f"{chrom}\t{at}\t{at + 1}\t{np.float32(value)}\n"
            for chrom in sorted(found)
            for at, value in zip(*found[chrom], strict=True)
        ),
    )


def _library() -> Any:
    try:
        # an extra
        import pyBigWig
    except ImportError as error:
        raise missing_extra("bigWig", "pyBigWig", "genomics") from error
    return pyBigWig
