"""A complete store, as the writers read it: in pieces, so that memory does not grow with its size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastism_compiler.genomics.alphabet import UNKNOWN
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.runs.damage import readable
from fastism_compiler.runs.errors import StoreError
from fastism_compiler.runs.jobs import SCAN
from fastism_compiler.runs.outputs import Output, choose_outputs, numbered
from fastism_compiler.runs.tables import has_references

Array = npt.NDArray[Any]


class Source:
    """A complete store.

    Args:
        path: its folder.

    Attributes:
        attributes: of the store.
        outputs: names of the scored outputs.
        letters: of the alphabet, in order.
        rows: sequences or variants.

    Raises:
        StoreError: no store, one that is not complete, or one of which files are missing. Reading a file that is
            damaged raises it as well.
    """

    def __init__(self, path: Path) -> None:
        store = readable(path)
        self.path, self.attributes = path, store.attributes
        if not self.attributes.get("complete"):
            raise StoreError("the store is not complete; run its command again", got=str(path))
        from fastism_compiler.runs.reading import Arrays  # zarr is an extra, and this module is imported without it

        self.group = Arrays(path, self.attributes, store.entries)
        self.outputs: list[str] = self.attributes["outputs"]
        self.letters: str = self.attributes["alphabet"]
        self.rows: int = self.attributes["rows"]

    @property
    def is_scan(self) -> bool:
        """Whether this is a scan (else: variants)."""
        return bool(self.attributes["format"] == SCAN)

    def need_letters(self, what: str) -> Array:
        """The scanned positions `[P]` of a scan of letters.

        Raises:
            OptionError: variants, or a scan of ranges.
        """
        if not self.is_scan or "positions" not in self.group:
            raise OptionError(f"{what} holds scans of letters", expected="a scan without ranges", got=str(self.path))
        return np.asarray(self.group["positions"][:])

    def pieces(self) -> Iterator[slice]:
        """Rows, some tasks at a time."""
        step = self.attributes["rows_per_task"]
        for begin in range(0, self.rows, step):
            yield slice(begin, min(begin + step, self.rows))

    def read(self, name: str, rows: slice) -> Array:
        """Rows of an array."""
        return np.asarray(self.group[name][rows])

    def read_track(self, name: str, index: tuple[int, ...], rows: slice) -> Array:
        """Scores of some rows of an output at an index into its axes (none: all of it)."""
        cells: tuple[Any, ...] = (..., *index)
        return np.asarray(self.group[f"scores/{name}"][rows][cells])

    def tracks(self, name: str) -> list[tuple[str, tuple[int, ...]]]:
        """`(label, index)` of every number of an output; the label has its index in the model's output."""
        return [(name + (f"[{','.join(map(str, n))}]" if n else ""), i) for n, i in self._numbered(name).items()]

    @property
    def single_tracks(self) -> list[str]:
        """Every number of every output, as `track` takes it."""
        numbers = [(name, n) for name in self.outputs for n in self._numbered(name)]
        return [name + (f":{','.join(map(str, n))}" if n else "") for name, n in numbers]

    def track(self, wanted: str | None) -> tuple[str, tuple[int, ...]]:
        """One number per cell: an output, and an index into its axes.

        Args:
            wanted: `NAME`, or with an index into the model's output `NAME:3` (several axes: `NAME:3:1` or `NAME:3,1`);
                or one of the run's `outputs=`, as it was written.

        Raises:
            OptionError: no such track, or more than one to choose from.
        """
        name = (wanted or "").partition(":")[0]
        whole = name in self.outputs and wanted in self.attributes["settings"].get("outputs", ())
        chosen = choose_outputs([name if whole else wanted] if wanted else [], self.outputs)
        tracks = [(o.name, i) for o in chosen for n, i in self._numbered(o.name).items() if _asked(o) in (None, n)]
        if len(tracks) != 1:
            known = [label for name in self.outputs for label, _ in self.tracks(name)]
            raise OptionError(
                "the format holds one number per cell; say which with track",
                expected=f"one of {known[:8]}{'...' if len(known) > 8 else ''}, written as name:index",
                got=wanted or f"{len(tracks)} numbers per cell",
            )
        return tracks[0]

    def _numbered(self, name: str) -> dict[tuple[int, ...], tuple[int, ...]]:
        kind = "reference" if has_references(self.attributes) else "scores"
        return numbered(self.attributes, name, self.group[f"{kind}/{name}"].shape[1:])

    def scanned_letters(self, rows: slice, positions: Array) -> tuple[Array, Array]:
        """Codes `[n, P]` of the scanned positions, and the same as one-hot `[n, P, C]` (unknown: zeros)."""
        codes = self.read("sequence", rows)[:, positions]
        one_hot = codes[..., None] == np.arange(len(self.letters), dtype=np.uint8)
        return codes, one_hot & (codes != UNKNOWN)[..., None]

    def places(self, rows: slice, positions: Array) -> list[tuple[str, Array, str]]:
        """For each row: chromosome, plus-strand position `[P]` of each scanned position, and strand.

        A sequence that lies on no genome is its own chromosome.
        """
        columns = [self.read(name, rows) for name in ("name", "chrom", "start", "end", "strand")]
        places = []
        for name, chrom, start, end, strand in zip(*columns, strict=True):
            at = end - 1 - positions if strand == "-" else positions + (start if chrom else 0)
            places.append((str(chrom or name), at.astype(np.int64), str(strand)))
        return places

    def chromosomes(self) -> dict[str, int]:
        """Lengths of the chromosomes that rows lie on; of sequences that lie on none, their own."""
        lengths: dict[str, int] = self.attributes["chromosomes"]
        if lengths:
            return lengths
        length = self.group["sequence"].shape[1]
        return {str(name): length for name in self.group["name"][:]}


def _asked(output: Output) -> tuple[int, ...] | None:
    """The numbers in an index, whether commas or colons separate them."""
    if output.index is None:
        return None
    return tuple(i for axis in output.index for i in (axis if isinstance(axis, list) else [axis]))
