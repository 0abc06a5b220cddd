"""bgzip and tabix: text outputs whose name ends with `.gz` or `.bgz`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastism_compiler.extras import missing_extra
from fastism_compiler.host.files import partial_of, put_in_place, sync
from fastism_compiler.runs.errors import RunError

ENDINGS = (".gz", ".bgz")
_INDEXES = (".tbi", ".csi")


def pack(path: Path) -> None:
    """Replace a text file by its bgzip form, under the same name.

    Raises:
        OSError: it cannot be written.
        OptionError: pysam is not installed.
    """
    with partial_of(path) as packed:
        load_pysam().tabix_compress(str(path), str(packed), force=True)
        packed.replace(path)


def index_of(path: Path) -> Path | None:
    """The tabix index that stands beside a file."""
    found = (path.with_name(path.name + ending) for ending in _INDEXES)
    return next((index for index in found if index.is_file()), None)


def remove_indexes(path: Path) -> None:
    """Remove the indexes beside a file that is about to be replaced: they are of its old content."""
    for ending in _INDEXES:
        path.with_name(path.name + ending).unlink(missing_ok=True)


def write_index(path: Path, ending: str) -> None:
    """Write the index of a bgzipped VCF beside it.

    Args:
        path: the file, sorted by position.
        ending: `.tbi` or `.csi`.

    Raises:
        RunError: it is not sorted, or the index cannot be written.
        OptionError: pysam is not installed.
    """
    target = path.with_name(path.name + ending)
    with partial_of(target) as partial:
        pysam = load_pysam()
        before = pysam.set_verbosity(0)  # what htslib says on standard error is in our own message
        try:
            pysam.tabix_index(str(path), preset="vcf", force=True, csi=ending == ".csi", index=str(partial))
        except OSError as error:
            raise RunError(
                "the file is written, but its index is not",
                expected="records that are sorted by chromosome and position, and room for the index",
                got=error,
            ) from error
        finally:
            pysam.set_verbosity(before)
        sync(partial)
        put_in_place(partial, target)


def load_pysam() -> Any:
    """The library that packs.

    Raises:
        OptionError: it is not installed.
    """
    try:
        import pysam  # an extra, not always installed
    except ImportError as error:
        raise missing_extra("writing bgzip and tabix files", "pysam", "genomics") from error
    return pysam
