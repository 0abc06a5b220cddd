"""What a report says of every sequence: its strongest effect, and how much could not be computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fastism_compiler.mutations.inputs import Array
from fastism_compiler.plot.genome_axis import range_name
from fastism_compiler.plot.scan import Output, Scan, ScannedSequence


@dataclass(frozen=True, slots=True)
class Summary:
    """The strongest effect on one sequence.

    Attributes:
        row: its row in the store.
        effect: the effect with the largest absolute value; NaN where nothing was computed.
        output: the number of an output that has this effect.
        position: where the change starts, 0-based in the model's input.
        stop: one past its end.
        change: such as `A17G`, or `10-20` of a range.
        letters: the letters before and after, such as `AG`; empty for a range.
        missing: how many effects could not be computed.
    """

    row: int
    effect: float
    output: Output
    position: int
    stop: int
    change: str
    letters: str
    missing: int


def summarise(scan: Scan, outputs: Sequence[Output]) -> list[Summary]:
    """One summary per sequence, strongest first; sequences without any effect last.

    Reads the store chunk by chunk, so that memory does not grow with the number of sequences.

    Args:
        scan: an opened store.
        outputs: which outputs count.
    """
    found = [summary for rows in _chunks(scan, outputs[0].name) for summary in _summarise_rows(scan, rows, outputs)]
    return sorted(found, key=lambda s: (np.isnan(s.effect), -abs(s.effect), s.row))


def _chunks(scan: Scan, output: str) -> Iterator[range]:
    step = int(scan.group[f"scores/{output}"].chunks[0])
    for begin in range(0, scan.count, step):
        yield range(begin, min(begin + step, scan.count))


def _summarise_rows(scan: Scan, rows: range, outputs: Sequence[Output]) -> list[Summary]:
    letters = np.asarray(scan.group["sequence"][rows.start : rows.stop])
    best: list[Summary | None] = [None] * len(rows)
    missing = np.zeros(len(rows), dtype=np.int64)
    for output in outputs:
        scores = scan.block(rows, output)
        counted, numbers = _counted(scan, scores, letters), scan.numbers(output)
        missing += (counted & ~np.isfinite(scores)).reshape(len(rows), -1).sum(axis=1)
        for i, row in enumerate(rows):
            summary = _strongest(scan, row, numbers, np.where(counted[i], scores[i], np.nan), letters[i])
            if best[i] is None or _stronger(summary, best[i]):
                best[i] = summary
    return [replace(s, missing=int(m)) for s, m in zip(best, missing, strict=True) if s is not None]


def _counted(scan: Scan, scores: Array, letters: Array) -> Array:
    """Which cells count: all but those of the reference letters."""
    if not scan.saturated:
        return np.ones(scores.shape, dtype=bool)
    here = letters[:, scan.ranges[:, 0]]
    alternates = np.arange(len(scan.alphabet)) != here[..., None]
    return np.broadcast_to(alternates[..., None], scores.shape)


def _stronger(new: Summary, old: Summary | None) -> bool:
    if old is None or np.isnan(old.effect):
        return not np.isnan(new.effect)
    return abs(new.effect) > abs(old.effect)


def _strongest(scan: Scan, row: int, numbers: Sequence[Output], scores: Array, letters: Array) -> Summary:
    """Of one sequence, and the K numbers of one output: `scores [P, C, K]` or `[R, K]`."""
    strength = np.where(np.isfinite(scores), np.abs(scores), -1.0)
    place = np.unravel_index(int(strength.argmax()), strength.shape)
    effect = float(scores[place]) if strength[place] >= 0 else float("nan")
    start, stop = scan.ranges[place[0]].tolist()
    number = numbers[int(place[-1])]
    change, changed = f"{start}-{stop}", ""
    if scan.saturated:
        before, after = scan.letter(int(letters[start])), scan.alphabet[int(place[1])]
        change, changed = f"{before}{start}{after}", before + after
    return Summary(row, effect, number, start, stop, "" if np.isnan(effect) else change, changed, 0)


def on_genome(summary: Summary, sequence: ScannedSequence, complement: Mapping[str, str]) -> str:
    """The change as a genome browser and VCF have it: `chr1:301 A>G`, from 1, on the plus strand.

    Args:
        summary: of the sequence.
        sequence: where it lies.
        complement: of each letter, for sequences on the minus strand.

    Returns:
        `chr1:301-310` for a range; empty for sequences that lie on no chromosome, for letters beyond its ends, and
        where nothing was computed.
    """
    if not sequence.chrom or not summary.change or "N" in summary.letters:
        return ""
    minus = sequence.strand == "-"
    place = f"{sequence.chrom}:{range_name(sequence, summary.position, summary.stop)}"
    letters = "".join(complement.get(letter, letter) for letter in summary.letters) if minus else summary.letters
    letters = letters.replace("U", "T")
    return f"{place} {letters[0]}>{letters[1]}" if letters else place
