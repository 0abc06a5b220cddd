"""The pictures of one scanned sequence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastism_compiler.ir.errors import OptionError
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.plot.browser import browser_figure
from fastism_compiler.plot.genome_axis import number_on_genome, position_name, range_name
from fastism_compiler.plot.heatmap import heatmap_figure
from fastism_compiler.plot.logo import logo_figure
from fastism_compiler.plot.scan import Output, Saturation, Scan
from fastism_compiler.plot.tracks import outputs_figure
from fastism_compiler.plot.variants import lollipop_figure
from fastism_compiler.results.importance import METHODS, importance, mean_centred, on_reference

CENTRED = "mean-centred"
LOGO_METHODS = (*METHODS, CENTRED)
"""What the heights of letters in a logo can be."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What to draw.

    Attributes:
        sequence: name or number of the sequence.
        output: `NAME`, or `NAME:INDEX` for one number of it; None: the only output.
        window: positions `[start, end)`; None: all that were scanned.
        method: one of `LOGO_METHODS` for a logo, of `importance.METHODS` for outputs.
        top: outputs shown, or variants labelled, at most.
    """

    sequence: str = "0"
    output: str | None = None
    window: tuple[int, int] | None = None
    method: str = "mean"
    top: int = 30


def draw(scan: Scan, kind: str, choice: Choice) -> Any:
    """One picture of one sequence.

    Args:
        scan: an opened store.
        kind: one of `KINDS`.
        choice: what of the scan.

    Returns:
        A matplotlib Figure.

    Raises:
        OptionError: an unknown kind or method, or a picture that this scan has no numbers for.
        InputError, RangeError: no such sequence, or positions outside of what was scanned.
    """
    if kind not in KINDS:
        raise OptionError("unknown kind of picture", expected=f"one of {tuple(KINDS)}", got=repr(kind))
    row = scan.find(choice.sequence)
    figure = KINDS[kind](scan, row, choice)
    # outputs are columns, numbered one by one
    return figure if kind == "outputs" else number_on_genome(figure, scan.sequence(row))


def letter_heights(cells: Saturation, method: str) -> Array:
    """`[P, C]`: importance on the reference letters, or mean-centred scores on all."""
    if method == CENTRED:
        return mean_centred(cells.effects)
    heights = importance(cells.effects, cells.reference, method)
    placed = on_reference(heights, cells.reference, cells.effects.shape[1])
    return np.where(np.isnan(heights)[:, None], np.nan, placed)


def _logo(scan: Scan, row: int, choice: Choice) -> Any:
    output = scan.output(choice.output)
    cells = scan.saturation(row, output, choice.window)
    heights = letter_heights(cells, choice.method)
    title = f"{scan.sequence(row).title} · {output}"
    return logo_figure({title: heights}, scan.alphabet, cells.first, ylabel=f"{choice.method}, {scan.effect}")


def _heatmap(scan: Scan, row: int, choice: Choice) -> Any:
    output = scan.output(choice.output)
    cells = scan.saturation(row, output, choice.window)
    title = f"{scan.sequence(row).title} · {output}"
    return heatmap_figure(cells.effects, cells.reference, scan.alphabet, cells.first, title, scan.effect)


def _browser(scan: Scan, row: int, choice: Choice) -> Any:
    output, method = scan.output(choice.output), choice.method
    if method == CENTRED:
        raise OptionError("a view has one importance per position", expected=f"one of {METHODS}", got=method)
    part = None
    if choice.window is not None:
        scanned = scan.ranges[scan.chosen(choice.window)]
        part = int(scanned[0, 0]), int(scanned[-1, 1])
    cells = scan.saturation(row, output)
    title = f"{scan.sequence(row).title} · {output}"
    shown = cells.effects, cells.reference, scan.alphabet, cells.first
    return browser_figure(*shown, part, method, title, scan.effect)


def _outputs(scan: Scan, row: int, choice: Choice) -> Any:
    names = [choice.output] if choice.output is not None else list(scan.outputs)
    outputs = [scan.output(name) for name in names]
    effects = np.concatenate([track_effects(scan, row, o, choice.window, choice.method) for o in outputs], axis=1)
    labels = [str(number) for o in outputs for number in scan.numbers(o)]
    positions = scan.ranges[scan.chosen(choice.window)].mean(axis=1)
    title, label = scan.sequence(row).title, f"{choice.method}, {scan.effect}" if scan.saturated else scan.effect
    return outputs_figure(effects, labels, np.floor(positions).astype(int), choice.top, title=title, label=label)


def track_effects(scan: Scan, row: int, output: Output, window: tuple[int, int] | None, method: str) -> Array:
    """`[P, K]`: each number's importance per position, or its effect per range."""
    effects = scan.effects(row, output, window)
    if not scan.saturated:
        return effects
    letters = scan.letters(row)[scan.ranges[scan.chosen(window), 0]]
    reference = np.repeat(letters[:, None], effects.shape[2], axis=1)
    return importance(np.moveaxis(effects, 1, 2), reference, method)


def _lollipop(scan: Scan, row: int, choice: Choice) -> Any:
    output, sequence = scan.output(choice.output), scan.sequence(row)
    title = f"{sequence.title} · {output}"
    style: dict[str, Any] = {
        "label_top": choice.top,
        "title": title,
        "ylabel": scan.effect,
        "region": _region(choice.window),
    }
    if not scan.saturated:
        effects = scan.effects(row, scan.number(output), choice.window)[:, 0]
        ranges = scan.ranges[scan.chosen(choice.window)]
        labels = [range_name(sequence, lo, hi) for lo, hi in ranges.tolist()]
        return lollipop_figure(ranges.mean(axis=1) - 0.5, effects, labels, **style)
    cells = scan.saturation(row, output, choice.window)
    position, letter = np.nonzero(np.arange(cells.effects.shape[1]) != cells.reference[:, None])
    alternates = [scan.alphabet[c] for c in letter]
    before = [scan.letter(i) for i in cells.reference[position].tolist()]
    position += cells.first
    names = [position_name(sequence, p) for p in position.tolist()]
    labels = [f"{a}{p}{b}" for a, p, b in zip(before, names, alternates, strict=True)]
    effects = cells.effects[position - cells.first, letter]
    return lollipop_figure(position, effects, labels, alternates, **style)


def _region(window: tuple[int, int] | None) -> tuple[int, int] | None:
    return None if window is None else (window[0], window[1] - 1)


KINDS: dict[str, Callable[[Scan, int, Choice], Any]] = {
    "logo": _logo,
    "heatmap": _heatmap,
    "browser": _browser,
    "outputs": _outputs,
    "lollipop": _lollipop,
}
"""What `draw` can draw."""
