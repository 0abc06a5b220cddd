"""Pictures of a store of variants: the effects along one chromosome."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastism_compiler.errors import InputError
from fastism_compiler.ir.errors import OptionError, RangeError
from fastism_compiler.plot.scan import effect_of, is_absolute, span
from fastism_compiler.plot.scanned import Choice
from fastism_compiler.plot.variants import lollipop_figure
from fastism_compiler.runs.outputs import numbered


def draw_variants(group: Any, kind: str, choice: Choice) -> Any:
    """A lollipop per variant of one chromosome.

    Args:
        group: the opened store.
        kind: `"lollipop"`.
        choice: `sequence` is a chromosome, or `"0"` for that of the first variant; `window` genome
            positions, 0-based; `output` as `NAME`, or `NAME:INDEX` for one number of it (default: the only one).

    Returns:
        A matplotlib Figure; positions are 1-based, as in a VCF file.

    Raises:
        OptionError: another kind, several outputs and none chosen, or an output that is no single number.
        InputError: no such chromosome or output.
        RangeError: no variant between these positions.
    """
    if kind != "lollipop":
        raise OptionError("variants are drawn as lollipops", expected="lollipop", got=repr(kind))
    chromosomes = _text(group["chrom"])
    chosen = chromosomes[0] if choice.sequence == "0" else choice.sequence
    rows = np.flatnonzero(chromosomes == chosen)
    if not len(rows):
        raise InputError("no variant lies on this chromosome", expected=sorted(set(chromosomes)), got=repr(chosen))
    positions = np.asarray(group["position"][:])[rows]
    if choice.window is not None:
        inside = (positions >= choice.window[0]) & (positions < choice.window[1])
        rows, positions = rows[inside], positions[inside]
        if not len(rows):
            raise RangeError("no variant lies between these positions", got=choice.window)
    name, effects = _track(group, choice.output, rows)
    ref, alt = _text(group["ref"])[rows], _text(group["alt"])[rows]
    labels = [f"{a}{p + 1}{b}" for a, p, b in zip(ref, positions, alt, strict=True)]
    letters = [b if len(a) == len(b) == 1 else "?" for a, b in zip(ref, alt, strict=True)]
    title = f"{chosen} · {name}"
    label = effect_of(str(group.attrs["score"]))
    return lollipop_figure(positions + 1, effects, labels, letters, label_top=choice.top, title=title, ylabel=label)


def _track(group: Any, output: str | None, rows: Any) -> tuple[str, Any]:
    """One number per variant, and its name."""
    names = list(group.attrs["outputs"])
    if output is None and len(names) > 1:
        raise OptionError("choose one output", expected=f"one of {names}", got="several outputs")
    name, _, index = (output or names[0]).partition(":")
    if name not in names:
        raise InputError("no such output", expected=f"one of {names}", got=repr(output))
    values = np.asarray(group[f"scores/{name}"][:])[rows]
    if is_absolute(str(group.attrs["score"])):
        values = values - np.asarray(group[f"reference/{name}"][:])[rows]
    places = numbered(group.attrs, name, values.shape[1:])
    if not index and len(places) > 1:
        raise OptionError("choose one number of this output", expected=f"{name}:INDEX, {span(places)}", got=output)
    known = {",".join(map(str, number)): place for number, place in places.items()}
    index = index.replace(":", ",")
    if index and index not in known:
        raise OptionError("no such number of this output", expected=span(places), got=repr(index))
    place = known[index] if index else next(iter(places.values()))
    return (f"{name}:{index}" if index else name), values[(slice(None), *place)]


def _text(column: Any) -> Any:
    """Strings of any length, which zarr stores in a dtype of its own."""
    return np.array([str(value) for value in column[:]])
