"""A finished scan, read back from its store for pictures and reports."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastism_compiler.arguments import path as path_argument
from fastism_compiler.errors import InputError
from fastism_compiler.genomics.fields import index_number
from fastism_compiler.ir.errors import OptionError, RangeError
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.plot.style import missing
from fastism_compiler.runs.damage import readable
from fastism_compiler.runs.jobs import SCAN, VARIANTS, VERSION
from fastism_compiler.runs.outputs import numbered
from fastism_compiler.runs.store import META

_COLUMNS = ("name", "chrom", "start", "end", "strand")


@dataclass(frozen=True, slots=True)
class ScannedSequence:
    """One scanned sequence.

    Attributes:
        index: its row in the store.
        name: its name; its number where it has none.
        chrom: the chromosome; empty for sequences that come from none.
        start: first genomic position, 0-based.
        end: one past the last.
        strand: `+` or `-`; on `-`, offset 0 is the last genomic position.
    """

    index: int
    name: str
    chrom: str
    start: int
    end: int
    strand: str

    @property
    def place(self) -> str:
        """`chr1:100-300 (-)`, 0-based and half-open as in BED; empty for sequences that come from no chromosome."""
        return f"{self.chrom}:{self.start}-{self.end} ({self.strand})" if self.chrom else ""

    @property
    def title(self) -> str:
        """Name and place."""
        return "  ".join(filter(None, (self.name, self.place)))


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a scan, or one number of it.

    Attributes:
        name: its name in the store.
        index: which of its numbers; None: all of them.
        alone: it has one number only, which needs no index in its name.
        number: its index in the model's output; None: the same as `index`.
    """

    name: str
    index: tuple[int, ...] | None = None
    alone: bool = False
    number: tuple[int, ...] | None = None

    def __str__(self) -> str:
        if self.index is None or self.alone:
            return self.name
        return f"{self.name}:{','.join(map(str, self.number or self.index))}"


@dataclass(frozen=True, slots=True)
class Saturation:
    """Consecutive positions of one sequence, one output.

    Attributes:
        first: the first position.
        effects: `[P, C]`; NaN where not computed or not scanned.
        reference: `[P]`, indices of the reference letters.
    """

    first: int
    effects: Array
    reference: Array


@dataclass(frozen=True, slots=True)
class Scan:
    """A store of scores, opened for reading. Made by `open_scan`.

    Attributes:
        group: its arrays.
        alphabet: the letters.
        score: what the numbers are.
        model: what was scanned with, as the store says.
        settings: how, as the store says.
        outputs: names of the outputs.
        ranges: `[R, 2]`, what was changed, each time; single positions in a saturation scan.
        saturated: whether every letter was tried at every position.
    """

    group: Any
    alphabet: str
    score: str
    model: Any
    settings: Mapping[str, Any]
    outputs: tuple[str, ...]
    ranges: Array
    saturated: bool

    @property
    def effect(self) -> str:
        """What an effect is: the score, or for `value` the score minus the reference's output."""
        return effect_of(self.score)

    @property
    def count(self) -> int:
        """How many sequences."""
        return int(self.group["sequence"].shape[0])

    @property
    def length(self) -> int:
        """Positions of each sequence."""
        return int(self.group["sequence"].shape[1])

    def shape(self, output: str) -> tuple[int, ...]:
        """The shape of one output's value: `*out`."""
        return tuple(self.group[f"scores/{output}"].shape[3 if self.saturated else 2 :])

    def names(self) -> list[str]:
        """The sequences' names; their numbers where they have none."""
        return [str(name) or str(row) for row, name in enumerate(self.group["name"][:])]

    def find(self, sequence: str) -> int:
        """The row of a sequence, by name, else by number.

        Raises:
            InputError: no such sequence, or several of that name.
        """
        names = self.names()
        rows = [row for row, name in enumerate(names) if name == sequence]
        if len(rows) > 1:
            several = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
            raise InputError("several sequences have this name: give a number", expected=several, got=sequence)
        if rows:
            return rows[0]
        number = index_number(sequence)
        if number is not None and number < self.count:
            return number
        known = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise InputError(
            "no such sequence in the store", expected=f"a name ({known}) or 0 .. {self.count - 1}", got=sequence
        )

    def sequence(self, row: int) -> ScannedSequence:
        """One sequence's name and place."""
        return _sequence(row, *(self.group[key][row] for key in _COLUMNS))

    def sequences(self) -> list[ScannedSequence]:
        """All of them, in one read."""
        columns = (self.group[key][:] for key in _COLUMNS)
        return [_sequence(row, *values) for row, values in enumerate(zip(*columns, strict=True))]

    def letters(self, row: int) -> Array:
        """One sequence: `[L]`, indices into the alphabet, 255 for unknown letters."""
        return np.asarray(self.group["sequence"][row])

    def output(self, text: str | None) -> Output:
        """`NAME`, or `NAME:3` and `NAME:3,5` (or `NAME:3:5`) for one number of it; None is the only output there is.

        Raises:
            OptionError: no such output, or an index that does not fit it.
        """
        known = f"one of {', '.join(self.outputs)}"
        if text is None:
            if len(self.outputs) != 1:
                raise OptionError("the store has several outputs: name one", expected=known, got="none")
            text = self.outputs[0]
        name, colon, numbers = (text, "", "") if text in self.outputs else text.partition(":")
        if name not in self.outputs:
            raise OptionError("no such output in the store", expected=known, got=text)
        shape = self.shape(name)
        if not colon:
            alone = int(np.prod(shape)) == 1
            return Output(name, (0,) * len(shape) if alone else None, alone)
        parts = re.split("[:,]", numbers)
        number = tuple(n for n in map(index_number, map(str.strip, parts)) if n is not None)
        places = self._numbered(name)
        if len(number) != len(parts) or number not in places:
            raise OptionError("an index chooses one number of the output", expected=span(places), got=text)
        return _named(name, number, places[number])

    def saturation(self, row: int, output: Output, window: tuple[int, int] | None = None) -> Saturation:
        """Every substitution's effect on one number, gaps between scanned positions filled with NaN.

        Args:
            row: which sequence.
            output: one number of an output.
            window: positions `[start, end)` (default: from the first to the last scanned).

        Raises:
            OptionError: a scan of ranges, or an output of several numbers.
            RangeError: positions outside of what was scanned.
        """
        if not self.saturated:
            raise OptionError("a picture of letters needs a scan of every letter", got="a scan of ranges")
        chosen = self.chosen(window)
        cells = self.effects(row, self.number(output), window)[..., 0]
        at = self.ranges[chosen, 0]
        first, stop = int(at[0]), int(at[-1]) + 1
        effects = np.full((stop - first, cells.shape[1]), np.nan, dtype=cells.dtype)
        effects[at - first] = cells
        return Saturation(first, effects, self.letters(row)[first:stop])

    def effects(self, row: int, output: Output, window: tuple[int, int] | None = None) -> Array:
        """The scanned cells alone, outputs flattened: `[P, C, K]`, or `[R, K]` of a scan of ranges."""
        chosen = self.chosen(window)
        begin, stop = int(chosen.min()), int(chosen.max()) + 1
        cells = np.asarray(self.group[f"scores/{output.name}"][row, begin:stop])[chosen - begin]
        return self._effects(cells[None], output, slice(row, row + 1))[0]

    def block(self, rows: range, output: Output) -> Array:
        """All scanned cells of consecutive sequences: `[n, P, C, K]`, or `[n, R, K]`."""
        chosen = slice(rows.start, rows.stop)
        return self._effects(np.asarray(self.group[f"scores/{output.name}"][chosen]), output, chosen)

    def number(self, output: Output) -> Output:
        """`output`, which must be one number.

        Raises:
            OptionError: it is several.
        """
        if output.index is None:
            known = span(self._numbered(output.name))
            raise OptionError(
                "this picture shows one number: choose it", expected=f"{output.name}:INDEX, {known}", got=output
            )
        return output

    def numbers(self, output: Output) -> list[Output]:
        """Every number of an output, in the order of `effects`."""
        if output.index is not None:
            return [output]
        return [_named(output.name, number, index) for number, index in self._numbered(output.name).items()]

    def _numbered(self, output: str) -> dict[tuple[int, ...], tuple[int, ...]]:
        return numbered(self.group.attrs, output, self.shape(output))

    def chosen(self, window: tuple[int, int] | None) -> Array:
        """Numbers of the ranges that lie inside `window`, in order of position.

        Raises:
            RangeError: a window outside of the sequence, or one in which nothing was scanned.
        """
        lo, hi = (0, self.length) if window is None else window
        if not 0 <= lo < hi <= self.length:
            raise RangeError(
                "positions lie inside the sequence", expected=f"0 <= start < end <= {self.length}", got=f"{lo}-{hi}"
            )
        inside = np.flatnonzero((self.ranges[:, 0] >= lo) & (self.ranges[:, 1] <= hi))
        if not len(inside):
            scanned = f"{self.ranges[:, 0].min()}-{self.ranges[:, 1].max()}"
            raise RangeError("nothing was scanned at these positions", expected=scanned, got=f"{lo}-{hi}")
        return inside[np.argsort(self.ranges[inside, 0], kind="stable")]

    def letter(self, index: int) -> str:
        """The letter of an index; N where it is unknown."""
        return self.alphabet[index] if index < len(self.alphabet) else "N"

    def _effects(self, cells: Array, output: Output, rows: slice) -> Array:
        """Scores of these rows as effects, outputs flattened."""
        if is_absolute(self.score):
            own = np.asarray(self.group[f"reference/{output.name}"][rows])
            cells = cells - own.reshape(len(own), *[1] * (2 if self.saturated else 1), *own.shape[1:])
        return self._flattened(cells, output)

    def _flattened(self, cells: Array, output: Output) -> Array:
        if output.index is not None:
            place: tuple[Any, ...] = (..., *output.index)
            cells = cells[place]
        return cells.reshape(*cells.shape[: 3 if self.saturated else 2], -1)


def _named(name: str, number: tuple[int, ...], index: tuple[int, ...]) -> Output:
    """One number of an output; `number` is set only if its index in the model's output is another."""
    return Output(name, index, number=None if number == index else number)


def span(numbers: Iterable[tuple[int, ...]]) -> str:
    """The first and the last of some numbers, such as `0,0 .. 3,99`."""
    listed = sorted(numbers)
    return " .. ".join(",".join(map(str, n)) for n in (listed[0], listed[-1]))


def is_absolute(score: str) -> bool:
    """Whether a score is an output of the model, not 0 for an unchanged sequence."""
    return score == "value"


def effect_of(score: str) -> str:
    """The name of what pictures show for a score."""
    return f"{score} - reference" if is_absolute(score) else score


def _sequence(row: int, name: Any, chrom: Any, start: Any, end: Any, strand: Any) -> ScannedSequence:
    return ScannedSequence(row, str(name) or str(row), str(chrom), int(start), int(end), str(strand))


def open_scan(path: str | os.PathLike[str]) -> Scan:
    """Open a store that a scan wrote.

    Args:
        path: the zarr group.

    Raises:
        InputError: not a store of this format and version, an unfinished one, or one without some of its arrays.
        StoreError: files of the store are damaged or missing. Reading a file that is damaged raises it as well.
        UnsupportedError: zarr is not installed.
    """
    return read_scan(open_store(path), str(path))


def open_store(path: str | os.PathLike[str]) -> Any:
    """The arrays of a store of any kind.

    Raises:
        InputError: nothing there, or no zarr group.
        StoreError: a group that no run has written, or files of the store that are damaged or missing.
        UnsupportedError: zarr is not installed.
    """
    try:
        import zarr  # noqa: F401 (an extra: is it installed?)
    except ImportError as error:
        raise missing("stores need zarr", "plot") from error
    folder = path_argument("store", path)
    if not folder.exists():
        raise InputError("the store does not exist", got=str(path))
    if not (folder / META).is_file():
        raise InputError("not a store of scores", expected="a zarr group", got=str(path))
    store = readable(folder)
    from fastism_compiler.runs.reading import Arrays  # imports zarr

    return Arrays(folder, store.attributes, store.entries)


def read_scan(group: Any, path: str = "") -> Scan:
    """A scan from the arrays of `open_store`; errors as of `open_scan`, with `path` as its name."""
    attributes = dict(group.attrs)
    found = (attributes.get("format"), attributes.get("version"))
    if found != (SCAN, VERSION):
        expected = f"format {SCAN!r}, version {VERSION}"
        if found[0] == VARIANTS:
            raise InputError(
                "a store of variants, where one of a scan is needed",
                expected="what `scan` has written (`convert --to tsv` shows variants)",
                got=path,
            )
        raise InputError(
            "not a store of scores", expected=expected, got=f"{path}: format {found[0]!r}, version {found[1]}"
        )
    if attributes.get("complete") is False:
        raise InputError("the store is not complete; run its command again", got=path or "an unfinished store")
    outputs = tuple(attributes.get("outputs", ()))
    saturated = "positions" in group
    score = str(attributes.get("score", "effect"))
    arrays = [f"{kind}/{o}" for kind in ("scores", "reference")[: 1 + is_absolute(score)] for o in outputs]
    wanted = ("sequence", *_COLUMNS, "positions" if saturated else "ranges", *arrays)
    absent = [key for key in wanted if key not in group]
    if absent or not outputs:
        raise InputError("parts of the store are missing", expected=", ".join(wanted), got=f"no {', '.join(absent)}")
    ranges = np.asarray(group["positions" if saturated else "ranges"][:]).astype(np.int64)
    return Scan(
        group=group,
        alphabet=str(attributes.get("alphabet", "ACGT")),
        score=score,
        model=attributes.get("model", ""),
        settings=dict(attributes.get("settings", {})),
        outputs=outputs,
        ranges=np.stack([ranges, ranges + 1], axis=1) if saturated else ranges,
        saturated=saturated,
    )
