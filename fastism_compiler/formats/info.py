"""INFO fields of a store of variants, as VCF has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from fastism_compiler._version import __version__
from fastism_compiler.formats.source import Array, Source
from fastism_compiler.runs.splice_scores import COLUMNS, SPLICE
from fastism_compiler.runs.tables import TABLES, has_references

PREFIX = "FASTISM_"
KIND = f"{PREFIX}KIND"
SPLICE_KEY = f"{PREFIX}SpliceAI"
_REPLACE = re.compile(r"[^A-Za-z0-9_.]")
_VARIES = 0


@dataclass(frozen=True, slots=True)
class InfoField:
    """An INFO field.

    Attributes:
        key: its ID.
        kind: its Type.
        size: values of each row; 0: one value of each row that has one, `Number=.`.
        what: its description.
        read: what the store holds for some rows, an entry each.
        text: of an entry: its values, between commas.
    """

    key: str
    kind: str
    size: int
    what: str
    read: Callable[[slice], Sequence[Any] | Array]
    text: Callable[[Any], str]

    def header(self, single: str) -> str:
        """Its line in the header; `single` is the Number of fields with one value per row."""
        return f'##INFO=<ID={self.key},Number={single},Type={self.kind},Description="{self.what}">'


def info_fields(source: Source) -> list[InfoField]:
    """The fields of a store: the kind of each variant, and its scores.

    Each output is a field `FASTISM_<output>` with all its numbers (in C order), its reference `FASTISM_REF_<output>`;
    outputs go by their numbers where two would have the same field. Scores of splicing are one field, as SpliceAI
    writes it, with an entry for each gene. A score that is no number is `.`.
    """
    kind = InfoField(KIND, "String", 1, "substitution, insertion or deletion", partial(source.read, "kind"), str)
    if source.attributes["score"] == SPLICE:
        return [kind, _splicing(source)]
    found = _scores(source, [_REPLACE.sub("_", name) for name in source.outputs])
    keys = {field.key for field in found} | {KIND}
    unique = len(keys) == len(found) + 1
    return [kind, *(found if unique else _scores(source, [str(i) for i in range(len(source.outputs))]))]


def _scores(source: Source, names: Sequence[str]) -> list[InfoField]:
    score, chosen = source.attributes["score"], source.attributes.get("numbers", {})
    scores, references = [], []
    for name, output in zip(names, source.outputs, strict=True):
        called = ", ".join(label for label, _ in source.tracks(output)) if output in chosen else output
        what = TABLES[score].columns[output] if score in TABLES else f"{called}: {score} of the alternate"
        scores.append(_numbers(source, f"{PREFIX}{name}", f"scores/{output}", what))
        if has_references(source.attributes):
            what = f"{called}: model output, reference"
            references.append(_numbers(source, f"{PREFIX}REF_{name}", f"reference/{output}", what))
    return scores + references


def _numbers(source: Source, key: str, array: str, what: str) -> InfoField:
    size = prod(source.group[array].shape[1:])
    return InfoField(key, "Float", size, what, partial(source.read, array), _number_texts)


def _number_texts(numbers: Array) -> str:
    return ",".join(map(number_text, numbers.reshape(-1)))


def number_text(value: float) -> str:
    """A number of an INFO field; `.` for NaN."""
    return "." if np.isnan(value) else str(np.float32(value))


def _splicing(source: Source) -> InfoField:
    entry = f"ALLELE|SYMBOL|{'|'.join(COLUMNS)}"
    what = f"fastism-compiler {__version__}, {source.attributes['model']['name']}: {entry}"
    columns = ("alt", "gene", *(f"scores/{name}" for name in COLUMNS))

    def read(rows: slice) -> list[Any]:
        return list(zip(*(source.read(name, rows) for name in columns), strict=True))

    return InfoField(SPLICE_KEY, "String", _VARIES, what, read, _splice_text)


def _splice_text(entry: Sequence[Any]) -> str:
    alt, gene, *numbers = entry
    return "|".join([alt, gene, *_splice_numbers(numbers)])


def _splice_numbers(row: Sequence[float]) -> list[str]:
    """Scores with two digits, positions as whole numbers; points where the model gives no number."""
    if not np.isfinite(row).all():
        return ["."] * len(row)
    half = len(row) // 2
    return [*(f"{score:.2f}" for score in row[:half]), *(str(int(place)) for place in row[half:])]


def merged(fields: Sequence[InfoField], one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """The values of two rows of one allele, which are of two genes."""
    return {f.key: one[f.key] if f.size else f"{one[f.key]},{other[f.key]}" for f in fields}
