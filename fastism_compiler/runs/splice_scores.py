"""`--score splice`: gain and loss of splice sites near a variant, as in SpliceAI's INFO field.

Such a model gives, for every base in the middle of its input, the probabilities that it is no splice site, an acceptor
or a donor (or the last two alone). A variant is scored on the strand of every gene that it lies in, with letters
outside the gene unknown. With y1(r) and y2(r) the probabilities of the reference and of the alternate at the base r to
the right of the variant's first base on the plus strand, -D <= r <= D:

DS_AG, DS_AL    acceptor gain max(y2 - y1), acceptor loss max(y1 - y2)
DS_DG, DS_DL    the same of donors
DP_AG ...       the r of each

Where the alleles (a and b bases) differ in length, y2 is brought to the bases of the reference: deleted ones
(b <= r < a) have probability 0; those inserted count at the last base of the reference allele, with the largest of
their probabilities and its own. With `mask`, the gain of a site that is annotated (r is the exon boundary next to the
variant) and the loss of one that is not are 0.

Source: SpliceAI 1.3.1 (Jaganathan et al., Cell 2019), `get_delta_scores`. It leaves out what has several bases in both
alleles; and its window of the alternate of a deletion of more than D bases ends before the variant, where it counts
bases that are there as deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from fastism_compiler.genomics.vcf import Variant
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.runs.layout import Array, Column
from fastism_compiler.runs.scores import finite32

SPLICE = "splice"
COLUMNS: Mapping[str, str] = {
    "DS_AG": "acceptor gain",
    "DS_AL": "acceptor loss",
    "DS_DG": "donor gain",
    "DS_DL": "donor loss",
    "DP_AG": "position of the acceptor gain, from the variant",
    "DP_AL": "position of the acceptor loss, from the variant",
    "DP_DG": "position of the donor gain, from the variant",
    "DP_DL": "position of the donor loss, from the variant",
}
"""What each column is, in their order."""
RANKED_BY = ("DS_AG", "DS_AL", "DS_DG", "DS_DL")
GENE_COLUMNS: Mapping[str, Column] = {
    "record": Column("int64"),
    "gene": Column("string"),
    "strand": Column("string"),
    "boundary": Column("int32"),
}
"""Of each row: its allele's number in the file, its gene, the gene's strand, and the exon boundary next to the variant,
from the variant."""
_SITES = 2
"""Acceptor and donor: the last two of the model's numbers per base."""


@dataclass(frozen=True)
class SpliceScores:
    """The scores of a block of variants, each on the strand of a gene.

    Attributes:
        distance: D, in bases.
        mask: no gain of annotated sites, no loss of others.
        positions: bases that the model gives probabilities for.
        at: which of them is a variant's first, on the plus strand (variants lie in the middle of the input).
        numbers: none, since no column is a part of an output.
        columns: of the input.
    """

    distance: int
    mask: bool
    positions: int
    at: int
    numbers: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Column] = field(default_factory=lambda: GENE_COLUMNS)

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int, ...]], distance: int, mask: bool, length: int) -> Self:
        """The scores for outputs of these shapes.

        Args:
            shapes: `*out` of each output.
            distance: D, in bases.
            mask: see the class.
            length: of the model's input.

        Raises:
            OptionError: another output than one of probabilities in the middle of the input, or one that does not reach
                `distance` bases to both sides.
        """
        shape = next(iter(shapes.values()))
        fits = len(shape) == 2 and shape[0] <= length and (length - shape[0]) % 2 == 0
        if len(shapes) != 1 or not fits or shape[1] not in (_SITES, _SITES + 1):
            raise OptionError(
                "score='splice' takes one output: probabilities of (no site,) acceptor and donor, base by base, in the "
                "middle of the input",
                expected="outputs= that chooses it, without reduce=",
                got={name: ("batch", *out) for name, out in shapes.items()},
            )
        at = length // 2 - (length - shape[0]) // 2
        if not distance <= at < shape[0] - distance:
            raise OptionError(
                f"the model's output does not reach {distance} bases to both sides of a variant",
                expected=f"a smaller distance=, or length={length - shape[0] + 2 * distance + 1} where it is open",
                got=f"{shape[0]} positions",
            )
        return cls(distance, mask, shape[0], at)

    @property
    def results(self) -> dict[str, Column]:
        """`scores/` of each column."""
        return {f"scores/{name}": Column("float32") for name in COLUMNS}

    def fault(self, variant: Variant) -> str | None:
        """Why a variant cannot be scored; None: it can."""
        if len(variant.ref) > 2 * self.distance:
            return "a reference allele is longer than twice the distance in which sites are looked for"
        room = self.positions - 1 - self.distance - self.at
        if len(variant.alt) - len(variant.ref) > room:
            return f"an insertion is longer than the {room} positions beyond the distance (a larger length= has more)"
        return None

    def __call__(self, strands: Sequence[tuple[list[Array], list[Array]]], rows: Mapping[str, Array]) -> list[Array]:
        """One array per column, in their order.

        Args:
            strands: outputs of the alternate and of the reference, on the strand of the gene.
            rows: `ref`, `alt`, `strand` and `boundary` of the variants.
        """
        ((alternates, references),) = strands
        table = []
        for i, (y2, y1) in enumerate(zip(alternates[0], references[0], strict=True)):
            turn = slice(None, None, -1 if rows["strand"][i] == "-" else 1)
            lengths = len(rows["ref"][i]), len(rows["alt"][i])
            table.append(self._scores(y2[turn, -_SITES:], y1[turn, -_SITES:], *lengths, int(rows["boundary"][i])))
        return [finite32(column) for column in np.array(table).T]

    def _scores(self, alternate: Array, reference: Array, ref: int, alt: int, boundary: int) -> list[float]:
        """The columns of one variant with alleles of these lengths.

        Args:
            alternate: `[P, 2]`, on the plus strand.
            reference: `[P, 2]`, on the plus strand.
            ref: bases of the reference allele.
            alt: bases of the alternate allele.
            boundary: of the nearest exon boundary, from the variant.
        """
        places_of = np.arange(-self.distance, self.distance + 1)
        y2 = _on_reference(alternate, self.at, places_of, ref, alt)
        scores, places = [], []
        for gain in (y2 - reference[self.at + places_of]).T:
            for change, at_boundary in ((gain, True), (-gain, False)):
                place = int(places_of[change.argmax()])
                hidden = self.mask and (place == boundary) is at_boundary
                scores.append(0.0 if hidden else float(change.max()))
                places.append(place)
        return [*scores, *places]


def _on_reference(y: Array, at: int, places: Array, ref: int, alt: int) -> Array:
    """Probabilities of an alternate for the bases of the reference.

    Args:
        y: `[P, 2]`, of the alternate.
        at: where the variant begins in it.
        places: `[N]`, in ascending order: the wanted bases, from the first one of the variant.
        ref: bases of the reference allele.
        alt: bases of the alternate allele.
    """
    behind = places >= ref
    found: Array = y[at + places + np.where(behind, alt - ref, 0)]
    if alt < ref:
        found[(places >= alt) & ~behind] = 0
    elif ref - 1 <= places[-1]:
        found[places == ref - 1] = y[at + ref - 1 : at + alt].max(axis=0)
    return found
