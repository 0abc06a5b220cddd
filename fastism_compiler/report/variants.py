"""The page of a store of variants: a table of the strongest, and where they lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastism_compiler.errors import InputError
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.plot.scan import effect_of, is_absolute
from fastism_compiler.plot.style import as_written
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
from fastism_compiler.runs.tables import TABLES

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
    ranking, score = _ranked(group, output), str(group.attrs["score"])
    kinds, counts = np.unique([str(kind) for kind in group["kind"][:]], return_counts=True)
    missing = int(ranking.missing.sum())
    lead = [f"{len(ranking.order):,} variants"]
    lead += [f"{count:,} {kind}{'s' if count > 1 else ''}" for kind, count in zip(kinds, counts.tolist(), strict=True)]
    lead += [f"score: {score}"]
    lead += [f"{missing:,} effects could not be computed" if missing else "every effect was computed"]
    title = f"Variant effects: {model_name(group.attrs.get('model'))}"
    return document(title, " · ".join(lead), _parts(group, ranking, top, listed))


def _parts(group: Any, ranking: _Ranking, top: int, listed: int) -> Iterator[str]:
    order = ranking.order
    yield from sortable("Variants", _COLUMNS, map(_row, ranking.variants(group, order[:listed])))
    if len(order) > listed:
        yield f'<p class="lead">The strongest {listed:,} of {len(order):,} variants.</p>\n'
    label = effect_of(str(group.attrs["score"]))
    known = order[np.isfinite(ranking.effect[order])]
    chromosomes = np.array([str(chrom) for chrom in group["chrom"][:]])
    for number, chrom in enumerate(list(dict.fromkeys(chromosomes[known].tolist()))[:top]):
        here = known[chromosomes[known] == chrom]
        caption = f"{chrom}: the strongest effect of each variant"
        caption += f", of the strongest {_DRAWN} of {len(here):,}" if len(here) > _DRAWN else ""
        figure = _lollipops(ranking.variants(group, here[:_DRAWN]), label)
        yield picture(figure, f"c{number}", caption, caption)
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
    figure.axes[0].set_xlabel(f"position on {as_written(variants[0].chrom)}")
    return figure


@dataclass(frozen=True, slots=True)
class _Ranking:
    """The strongest effect of every variant, as arrays `[n]`.

    Attributes:
        effect: NaN where none was computed.
        output: which number has it.
        missing: how many could not be computed.
        order: rows, strongest first.
        labels: of the numbers.
    """

    effect: Array
    output: Array
    missing: Array
    order: Array
    labels: Sequence[str]

    def variants(self, group: Any, rows: Array) -> list[ScoredVariant]:
        """Some variants, in the order of `rows`; each chunk of the store is read once."""
        step = int(group["position"].chunks[0])
        found: dict[int, ScoredVariant] = {}
        for chunk in np.unique(rows // step):
            here = slice(int(chunk) * step, (int(chunk) + 1) * step)
            columns = [group[key][here] for key in ("chrom", "position", "id", "ref", "alt", "kind")]
            if "gene" in group:  # an allele has a line for each
                named = zip(columns[2], group["gene"][here], strict=True)
                columns[2] = [f"{name} {gene}".removeprefix(". ") for name, gene in named]
            for row in rows[rows // step == chunk].tolist():
                found[row] = self._variant(row, *(column[row - here.start] for column in columns))
        return [found[row] for row in rows.tolist()]

    def _variant(self, row: int, chrom: Any, position: Any, name: Any, ref: Any, alt: Any, kind: Any) -> ScoredVariant:
        return ScoredVariant(
            row=row,
            chrom=str(chrom),
            position=int(position) + 1,
            name=str(name),
            ref=str(ref),
            alt=str(alt),
            kind=str(kind),
            effect=float(self.effect[row]),
            output=self.labels[int(self.output[row])],
            missing=int(self.missing[row]),
        )


def _ranked(group: Any, output: str | None) -> _Ranking:
    """Rank all variants, reading every chunk once."""
    score = str(group.attrs["score"])
    wanted = [output] if output else TABLES[score].ranked_by if score in TABLES else ()
    numbers = _numbers(group, wanted)
    first = group[f"scores/{group.attrs['outputs'][0]}"]
    step, count = int(first.chunks[0]), int(first.shape[0])
    effect, best, missing = np.full(count, np.nan), np.zeros(count, np.int64), np.zeros(count, np.int64)
    for begin in range(0, count, step):
        rows = slice(begin, min(begin + step, count))
        effects = np.concatenate([_effects(group, name, chosen, rows) for name, chosen, _ in numbers], axis=1)
        size = np.where(np.isfinite(effects), np.abs(effects), -1.0)
        best[rows] = size.argmax(axis=1)
        strongest = np.take_along_axis(effects, best[rows, None], axis=1)[:, 0]
        effect[rows] = np.where(size.max(axis=1) >= 0, strongest, np.nan)
        missing[rows] = (~np.isfinite(effects)).sum(axis=1)
    order = np.lexsort((np.arange(count), -np.abs(effect), np.isnan(effect)))
    return _Ranking(effect, best, missing, order, [label for *_, labels in numbers for label in labels])


def _numbers(group: Any, wanted: Sequence[str]) -> list[tuple[str, Array, list[str]]]:
    """Of each output that counts: its name, which of its numbers (flat), and their labels."""
    found, known = [], []
    for name in group.attrs["outputs"]:
        shape = group[f"scores/{name}"].shape[1:]
        several = int(np.prod(shape)) > 1
        listed = numbered(group.attrs, name, shape)
        labels = [name + (f":{','.join(map(str, number))}" if several else "") for number in listed]
        known += labels
        places = np.array([np.ravel_multi_index(place, shape) if shape else 0 for place in listed.values()])
        chosen = [k for k, label in enumerate(labels) if not wanted or name in wanted or label in wanted]
        if chosen:
            found.append((name, places[chosen], [labels[k] for k in chosen]))
    if not found:
        raise InputError("no such output in the store", expected=f"one of {known[:8]}", got=", ".join(wanted))
    return found


def _effects(group: Any, name: str, chosen: Array, rows: slice) -> Array:
    """Effects `[n, K]` on the chosen numbers of an output."""
    values = np.asarray(group[f"scores/{name}"][rows], np.float64)
    if is_absolute(str(group.attrs["score"])):
        values = values - np.asarray(group[f"reference/{name}"][rows])
    effects: Array = values.reshape(len(values), -1)[:, chosen]
    return effects
