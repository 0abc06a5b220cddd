"""Where the counts that are predicted for both alleles stand among those predicted for a set of peaks.

The columns are those of variant-scorer's table. With q1 and q2, the part of all peaks with fewer counts than the
reference and than the alternate (at least one peak's part):

allele1_quantile, allele2_quantile          q1 and q2
active_allele_quantile                      the larger one
quantile_change, abs_quantile_change        q2 - q1, and its absolute value
..._x_active_allele_quantile                scores times the larger one

Source: variant-scorer (Kundaje lab), version of July 2025, `get_variant_scores_with_peaks`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from fastism_compiler.formats.source import Array, Source
from fastism_compiler.genomics.errors import FileError
from fastism_compiler.genomics.sources import opened
from fastism_compiler.genomics.text import read_lines
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.runs.profile_scores import PROFILE
from fastism_compiler.runs.settings import MEAN_OF_SCORES

_SCORE = "peak_score"
_WEIGHED = ("logfc", "abs_logfc", "jsd", "logfc_x_jsd", "abs_logfc_x_jsd")


def peak_counts(path: str | os.PathLike[str], model: Mapping[str, str]) -> Array:
    """The counts predicted for each peak, in ascending order.

    Args:
        model: what tells the model of the variants apart; a scan of the peaks has to be of the same one.
        path: the store of a scan of the peaks, whose model gives the logarithm of counts; or a tab-separated table with
            the counts in a column `peak_score`, as variant-scorer writes it.

    Raises:
        OptionError: a store of variants, of another model, or of one that does not give one number of counts.
        StoreError, FileError: what cannot be read; no peak, or counts that are no numbers.
    """
    counts = _of_store(Path(path), model) if os.path.isdir(path) else _of_table(path)
    if not len(counts) or not np.isfinite(counts).all():
        raise FileError(path, "peaks have predicted counts", expected="finite numbers", got=f"{len(counts)} peaks")
    return np.sort(counts)


def digest_of(counts: Array) -> dict[str, Any]:
    """What a manifest says of the peaks: how many, and the SHA-256 of their counts in ascending order."""
    return {"peaks": len(counts), "sha256": hashlib.sha256(np.ascontiguousarray(counts).tobytes()).hexdigest()}


def _of_store(path: Path, model: Mapping[str, str]) -> Array:
    source = Source(path)
    if source.attributes["model"].get("sha256") != model.get("sha256"):
        raise OptionError("the peaks were scanned with another model", expected=model, got=source.attributes["model"])
    outputs = source.outputs if source.is_scan else []
    single = [name for name in outputs if prod(source.group[f"reference/{name}"].shape[1:]) == 1]
    if len(single) != 1:
        raise OptionError(
            "peaks= is a scan of the peaks, by a model that gives the logarithm of counts as its one single number",
            expected="the store of a scan with --outputs counts, say",
            got=f"{path}, outputs {source.outputs}",
        )
    with np.errstate(over="ignore"):
        return np.exp(np.asarray(source.group[f"reference/{single[0]}"][:], np.float64).reshape(-1))


def _of_table(path: str | os.PathLike[str]) -> Array:
    with opened(path) as table:
        lines = read_lines(table)
        _, header = next(lines)
        if _SCORE not in (names := header.split("\t")):
            raise FileError(path, "a table of peaks has predicted counts", line=1, expected=f"a column {_SCORE}")
        place, counts = names.index(_SCORE), []
        for number, line in lines:
            try:
                counts.append(float(line.split("\t")[place]))
            except (IndexError, ValueError) as error:
                raise FileError(path, f"{_SCORE} is a number", line=number, got=line[:80]) from error
    return np.array(counts)


def check_peaks(source: Source, track: str | None) -> None:
    """Refuse a store without the scores that quantiles are made of.

    Raises:
        OptionError: a store of other scores, or a track.
    """
    if source.attributes["score"] != PROFILE or track is not None:
        raise OptionError(
            "quantiles among peaks belong to all columns of score='profile'",
            expected="variants scored with --score profile, and no track",
            got=f"score={source.attributes['score']!r}, track={track!r}",
        )
    if source.attributes["settings"].get("combine") == MEAN_OF_SCORES:
        raise OptionError(
            "quantiles are of the counts of one model, and this store holds the mean of several models' scores",
            expected="variants scored with each fold by itself, or with --combine mean",
            got=f"combine={MEAN_OF_SCORES!r}",
        )


def quantiles(source: Source, rows: slice, peaks: Array) -> Mapping[str, Array]:
    """The columns of some rows of a store, in their order; NaN where there is no score.

    Args:
        source: a store of `score="profile"`.
        rows: which variants.
        peaks: of `peak_counts`.
    """
    q1, q2 = (_part(source.read(f"scores/allele{i}_pred_counts", rows), peaks) for i in (1, 2))
    active = np.maximum(q1, q2)
    columns = {
        "allele1_quantile": q1,
        "allele2_quantile": q2,
        "active_allele_quantile": active,
        "quantile_change": q2 - q1,
        "abs_quantile_change": abs(q2 - q1),
    }
    weighed = {f"{n}_x_active_allele_quantile": source.read(f"scores/{n}", rows) * active for n in _WEIGHED}
    return {name: values.astype(np.float32) for name, values in {**columns, **weighed}.items()}


def _part(counts: Array, peaks: Array) -> Array:
    part = np.maximum(np.searchsorted(peaks, counts.astype(np.float64), side="left"), 1) / len(peaks)
    return np.where(np.isnan(counts), np.nan, part)
