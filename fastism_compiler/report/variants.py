"""The page of a store of variants: a table of the strongest, and where they lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastism_compiler.errors import InputError
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.plot.scan import effect_of, is_absolute
from fastism_compiler.plot.variants import lollipop_figure
from fastism_compiler.report.document import (
    document,
    effect_cells,
    model_name,
    number_cell,
    picture,
    settings_list,
    sortable,
    text_cell,
)
from fastism_compiler.runs.outputs import numbered

_COLUMNS = (
    ("chromosome", False),
    ("position", True),
    ("id", False),
    ("change", False),
    ("kind", False),
    ("strongest effect", True),
    ("size", True),
    ("output", False),
    ("not computed", True),
)
_DRAWN = 500
"""Most variants in a picture of one chromosome, strongest first."""
_LABELLED = 12


@dataclass(frozen=True, slots=True)
class ScoredVariant:
    """A variant and its strongest effect.

    Attributes:
        row: in the store.
        chrom: chromosome.
        position: 1-based, as in VCF.
        name: its ID.
        ref: reference allele.
        alt: alternate allele.
        kind: `substitution`, `insertion` or `deletion`.
        effect: the effect with the largest absolute value; NaN where none was computed.
        output: the number of an output that has it.
        missing: how many effects could not be computed.
    """

    row: int
    chrom: str
    position: int
    name: str
    ref: str
    alt: str
    kind: str
    effect: float
    output: str
    missing: int


def variants_page(group: Any, output: str | None, top: int, listed: int) -> Iterable[str]:
    """The HTML, piece by piece.

    Args:
        group: the opened store.
        output: rank by this output, or one number of it (`NAME:INDEX`); None: by all.
        top: how many chromosomes get a picture, those of the strongest variants first.
        listed: rows of the table at most.

    Raises:
        InputError: a store that is not complete, or no such output.
    """
    if group.attrs.get("complete") is False:
        raise InputError("the store is not complete; run its command again", got="an unfinished store")
    found = sorted(_scored(group, output), key=lambda v: (np.isnan(v.effect), -abs(v.effect), v.row))
    score = str(group.attrs["score"])
    kinds = {kind: sum(v.kind == kind for v in found) for kind in ("substitution", "insertion", "deletion")}
    missing = sum(v.missing for v in found)
    lead = [f"{len(found):,} variants"]
    lead += [f"{count:,} {kind}s" for kind, count in kinds.items() if count]
    lead += [f"score: {score}"]
    lead += [f"{missing:,} effects could not be computed" if missing else "every effect was computed"]
    title = f"Variant effects: {model_name(group.attrs.get('model'))}"
    return document(title, " · ".join(lead), _parts(group, found, top, listed))


def _parts(group: Any, found: Sequence[ScoredVariant], top: int, listed: int) -> Iterator[str]:
    yield from sortable("Variants", _COLUMNS, map(_row, found[:listed]))
    if len(found) > listed:
        yield f'<p class="lead">The strongest {listed:,} of {len(found):,} variants.</p>\n'
    label = effect_of(str(group.attrs["score"]))
    known = [v for v in found if not np.isnan(v.effect)]
    for number, chrom in enumerate(list(dict.fromkeys(v.chrom for v in known))[:top]):
        here = [v for v in known if v.chrom == chrom]
        caption = f"{chrom}: the strongest effect of each variant"
        caption += f", of the strongest {_DRAWN} of {len(here):,}" if len(here) > _DRAWN else ""
        yield picture(_lollipops(here[:_DRAWN], label), f"c{number}", caption, caption)
    attributes = {key: group.attrs.get(key) for key in ("score", "alphabet", "model")}
    yield settings_list({**attributes, "": group.attrs.get("settings", {})})


def _row(variant: ScoredVariant) -> str:
    known = not np.isnan(variant.effect)
    cells = (
        text_cell(variant.chrom),
        number_cell(str(variant.position)),
        text_cell("" if variant.name == "." else variant.name),
        text_cell(f"{variant.ref}>{variant.alt}"),
        text_cell(variant.kind),
        *effect_cells(variant.effect, known),
        text_cell(variant.output if known else ""),
        number_cell(str(variant.missing)),
    )
    return f"<tr>{''.join(cells)}</tr>\n"


def _lollipops(variants: Sequence[ScoredVariant], label: str) -> Any:
    labels = [f"{v.ref}{v.position}{v.alt}" for v in variants]
    letters = [v.alt if len(v.ref) == len(v.alt) == 1 else "?" for v in variants]
    positions, effects = (np.array([getattr(v, name) for v in variants]) for name in ("position", "effect"))
    figure = lollipop_figure(positions, effects, labels, letters, label_top=_LABELLED, ylabel=label)
    figure.axes[0].set_xlabel(f"position on {variants[0].chrom}")
    return figure


def _scored(group: Any, output: str | None) -> Iterator[ScoredVariant]:
    """Every variant, chunk by chunk, so that memory does not grow with their number."""
    numbers = _numbers(group, output)
    first = group[f"scores/{group.attrs['outputs'][0]}"]
    step, count = int(first.chunks[0]), int(first.shape[0])
    for begin in range(0, count, step):
        rows = slice(begin, min(begin + step, count))
        text = {name: [str(v) for v in group[name][rows]] for name in ("chrom", "id", "ref", "alt", "kind")}
        positions = np.asarray(group["position"][rows]) + 1
        effects = np.stack([_effects(group, name, place, rows) for name, place, _ in numbers], axis=1)
        size = np.where(np.isfinite(effects), np.abs(effects), -1.0)
        best = size.argmax(axis=1)
        for i, k in enumerate(best.tolist()):
            yield ScoredVariant(
                row=begin + i,
                chrom=text["chrom"][i],
                position=int(positions[i]),
                name=text["id"][i],
                ref=text["ref"][i],
                alt=text["alt"][i],
                kind=text["kind"][i],
                effect=float(effects[i, k]) if size[i, k] >= 0 else float("nan"),
                output=numbers[k][2],
                missing=int((~np.isfinite(effects[i])).sum()),
            )


def _numbers(group: Any, wanted: str | None) -> list[tuple[str, tuple[int, ...], str]]:
    """Output, index and label of every number that counts."""
    known = []
    for name in group.attrs["outputs"]:
        shape = group[f"scores/{name}"].shape[1:]
        for number, place in numbered(group.attrs, name, shape).items():
            label = name + (f":{','.join(map(str, number))}" if number and int(np.prod(shape)) > 1 else "")
            known.append((name, place, label))
    chosen = [one for one in known if wanted is None or wanted in (one[0], one[2])]
    if not chosen:
        labels = [label for *_, label in known]
        raise InputError("no such output in the store", expected=f"one of {labels[:8]}", got=repr(wanted))
    return chosen


def _effects(group: Any, name: str, place: tuple[int, ...], rows: slice) -> Array:
    cells: tuple[Any, ...] = (slice(None), *place)
    values = np.asarray(group[f"scores/{name}"][rows])[cells]
    if is_absolute(str(group.attrs["score"])):
        values = values - np.asarray(group[f"reference/{name}"][rows])[cells]
    return np.asarray(values, np.float64)
