"""bigWig and bedGraph: importance per position along the genome."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastism_compiler.formats.importance import importance_by_chromosome
from fastism_compiler.formats.source import Source, replacing
from fastism_compiler.genomics.extras import missing_extra


def write_bigwig(source: Source, path: Path, track: str | None) -> None:
    """Importance as bigWig, chromosomes in the order of their names.

    Raises:
        OptionError: pyBigWig is not installed; or see `importance_by_chromosome`.
    """
    try:
        import pyBigWig  # an extra, not always installed
    except ImportError as error:
        raise missing_extra("bigWig", "pyBigWig", "genomics") from error
    found = importance_by_chromosome(source, track)
    with replacing(path) as partial:
        file = pyBigWig.open(str(partial), "w")
        file.addHeader(sorted((chrom, length) for chrom, length in source.chromosomes().items()))
        for chrom in sorted(found):
            at, values = found[chrom]
            if len(at):
                file.addEntries([chrom] * len(at), at.tolist(), ends=(at + 1).tolist(), values=values.tolist())
        file.close()


def write_bedgraph(source: Source, path: Path, track: str | None) -> None:
    """Importance as bedGraph, one line per position.

    Raises:
        OptionError: see `importance_by_chromosome`.
    """
    found = importance_by_chromosome(source, track)
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        for chrom in sorted(found):
            for at, value in zip(*found[chrom], strict=True):
                file.write(f"{chrom}\t{at}\t{at + 1}\t{np.float32(value)}\n")
