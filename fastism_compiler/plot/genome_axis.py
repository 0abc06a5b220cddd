"""Axes of pictures numbered as the chromosome is: from 1, as genome browsers and VCF count."""

from __future__ import annotations

from typing import Any

from fastism_compiler.plot.scan import ScannedSequence
from fastism_compiler.plot.style import as_written

_POSITION = "position"
_TICKS = 6


def number_on_genome(figure: Any, sequence: ScannedSequence) -> Any:
    """Label the positions of a picture by their places on the chromosome.

    Args:
        figure: a matplotlib Figure whose axes along the sequence are labelled `position` and count from 0.
        sequence: what it shows; one that lies on no chromosome keeps its positions.

    Returns:
        The figure.
    """
    if not sequence.chrom:
        return figure
    # matplotlib is an extra: this module is imported without it
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    def place(offset: float, _: Any) -> str:
        return f"{place_of(sequence, round(offset)):,}"

    for ax in figure.axes:
        label = ax.get_xlabel()
        if label.startswith(_POSITION):
            rest = label.removeprefix(_POSITION)
            ax.set_xlabel(f"position on {as_written(sequence.chrom)} ({sequence.strand}){rest}")
            ax.xaxis.set_major_locator(MaxNLocator(_TICKS, integer=True))
            ax.xaxis.set_major_formatter(FuncFormatter(place))
    return figure


def position_name(sequence: ScannedSequence, offset: int) -> str:
    """A position as pictures of the sequence count it."""
    return str(place_of(sequence, offset) if sequence.chrom else offset)


def range_name(sequence: ScannedSequence, start: int, stop: int) -> str:
    """The positions `[start, stop)` in the same way: `10-20`; on a chromosome its first and last place."""
    if not sequence.chrom:
        return f"{start}-{stop}"
    first, last = sorted(place_of(sequence, offset) for offset in (start, stop - 1))
    return str(first) if first == last else f"{first}-{last}"


def place_of(sequence: ScannedSequence, offset: int) -> int:
    """The place on the chromosome, from 1, of a position of the sequence, from 0."""
    return sequence.end - offset if sequence.strand == "-" else sequence.start + offset + 1
