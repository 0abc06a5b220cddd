"""`--score profile`: the scores of variant-scorer, for models of a profile and its counts (BPNet, ChromBPNet).

Such a model gives the logits of a profile, one per base in the middle of its input, and the logarithm of its counts.
With counts c and profiles p = softmax(logits) of the reference (allele 1) and the alternate (allele 2):

allele1_pred_counts, allele2_pred_counts    c1 and c2, exp of the model's output
logfc, abs_logfc                            log2(c2 / c1), and its absolute value
original_jsd                                Jensen-Shannon distance of p1 and p2, base 2 (0: equal; 1: nothing shared)
jsd                                         the same of bases that both alleles have: of a deletion, p1 without the
                                            deleted bases and p2 without as many at its end; of an insertion the other
                                            way round; both normalised again. Substitutions: `original_jsd`
logfc_x_jsd, abs_logfc_x_jsd                products

Source: variant-scorer (Kundaje lab), version of July 2025, `get_variant_scores` and `adjust_indel_jsd`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Self

import numpy as np

from fastism_compiler.ir.errors import OptionError
from fastism_compiler.runs.layout import Array, Column
from fastism_compiler.runs.scores import finite32

PROFILE = "profile"
COLUMNS: Mapping[str, str] = {
    "allele1_pred_counts": "counts predicted for the reference",
    "allele2_pred_counts": "counts predicted for the alternate",
    "logfc": "log2 of the counts of the alternate over those of the reference",
    "abs_logfc": "absolute value of logfc",
    "jsd": "Jensen-Shannon distance of both profiles, of bases that both alleles have",
    "original_jsd": "Jensen-Shannon distance of both profiles, base by base",
    "logfc_x_jsd": "logfc times jsd",
    "abs_logfc_x_jsd": "abs_logfc times jsd",
}
"""What each column is, in their order."""
RANKED_BY = ("logfc_x_jsd",)


@dataclass(frozen=True)
class ProfileScores:
    """The scores of a block of variants, one number each. Strands: counts averaged, and logits base by base.

    Attributes:
        profile: which output holds logits.
        counts: which output holds the logarithm of counts.
        start: of the profile's first base in the model's input.
        numbers: none, since no column is a part of an output.
        columns: none beside those of every variant.
    """

    profile: int
    counts: int
    start: int
    numbers: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Column] = field(default_factory=dict)

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int, ...]], reduce: str | None, length: int) -> Self:
        """The scores for outputs of these shapes.

        Args:
            shapes: `*out` of each output.
            reduce: of the settings.
            length: of the model's input.

        Raises:
            OptionError: outputs that are not one profile, of one track at one base each, and its counts.
        """
        sizes = [prod(shape) for shape in shapes.values()]
        longest = [max(shape, default=1) for shape in shapes.values()]
        two = len(sizes) == 2 and min(sizes) == 1 < max(sizes) == max(longest) <= length
        if reduce is not None or not two:
            raise OptionError(
                "score='profile' takes two outputs: logits of one profile, base by base, and the log of its counts",
                expected="outputs= that choose them, such as profile:*:0 and counts, without reduce=",
                got={name: ("batch", *shape) for name, shape in shapes.items()},
            )
        profile = int(sizes[1] > sizes[0])
        return cls(profile, 1 - profile, (length - sizes[profile]) // 2)

    @property
    def results(self) -> dict[str, Column]:
        """`scores/` of each column."""
        return {f"scores/{name}": Column("float32") for name in COLUMNS}

    def __call__(self, strands: Sequence[tuple[list[Array], list[Array]]], rows: Mapping[str, Array]) -> list[Array]:
        """One array per column, in their order.

        Args:
            strands: outputs of the alternate and of the reference; a second time for their reverse complements.
            rows: `offset`, `ref` and `alt` of the variants.
        """
        with np.errstate(all="ignore"):
            (logits2, counts2), (logits1, counts1) = (self._averaged([s[side] for s in strands]) for side in (0, 1))
            p1, p2 = _softmax(logits1), _softmax(logits2)
            logfc, original = np.log2(counts2 / counts1), _distance(p1, p2)
            jsd = original.copy()
            for i, (ref, alt) in enumerate(zip(map(len, rows["ref"]), map(len, rows["alt"]), strict=True)):
                if ref != alt:
                    jsd[i] = _distance(*_shared(p1[i], p2[i], int(rows["offset"][i]) - self.start, ref, alt))
            table = [counts1, counts2, logfc, abs(logfc), jsd, original, logfc * jsd, abs(logfc) * jsd]
            return [finite32(column) for column in table]

    def _averaged(self, strands: Sequence[list[Array]]) -> tuple[Array, Array]:
        """Logits `[n, P]` and counts `[n]` of one allele, over its strands."""
        logits = [np.asarray(s[self.profile], np.float64).reshape(len(s[self.profile]), -1) for s in strands]
        counts = [np.exp(np.asarray(s[self.counts], np.float64).reshape(-1)) for s in strands]
        return np.mean([logits[0], *(y[:, ::-1] for y in logits[1:])], axis=0), np.mean(counts, axis=0)


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Array = powers / powers.sum(axis=-1, keepdims=True)
    return result


def _distance(p: Array, q: Array) -> Array:
    """Jensen-Shannon distance of distributions along the last axis, base 2 (Endres and Schindelin, 2003)."""
    divergence = sum(np.where(y == 0, 0, y * np.log2(y / ((p + q) / 2))).sum(axis=-1) for y in (p, q)) / 2
    return np.sqrt(np.maximum(divergence, 0))


def _shared(p1: Array, p2: Array, at: int, ref: int, alt: int) -> tuple[Array, Array]:
    """Both profiles of an insertion or deletion, of the bases that both alleles have, normalised again.

    Args:
        p1: `[P]`, of the reference.
        p2: `[P]`, of the alternate.
        at: where the variant begins in them.
        ref: length of the reference allele.
        alt: length of the alternate allele.
    """
    longer, shorter = (p1, p2) if ref > alt else (p2, p1)
    kept = min(ref, alt, len(longer) - at)
    gone = min(abs(ref - alt), len(longer) - at - kept)  # what lies in the profile
    left = len(longer) - gone
    cut = np.concatenate([longer[: at + kept], longer[at + kept + gone :]])
    both = [y[:left] / y[:left].sum() for y in (cut, shorter)]
    return (both[0], both[1]) if ref > alt else (both[1], both[0])
