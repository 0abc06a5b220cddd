"""The scores of variants: equal lengths through the compiled program, insertions and deletions by whole sequences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fastism_compiler.genomics.alphabet import UNKNOWN, Codes
from fastism_compiler.runs.allele_scores import Alleles, allele_scores
from fastism_compiler.runs.blocks import Scored, blocks_of, join
from fastism_compiler.runs.layout import Column, Layout
from fastism_compiler.runs.programs import Array, Programs
from fastism_compiler.runs.settings import Settings


class VariantScorer:
    """Scores tasks of variants.

    Args:
        programs: compiled for every position.
        settings: of the run.
    """

    def __init__(self, programs: Programs, settings: Settings) -> None:
        self.programs, self.settings = programs, settings
        self._scores = allele_scores(programs, settings)

    def layout(self) -> Layout:
        """The arrays of the store."""
        sequence = Column("uint8", (self.programs.encoding.length,), ("input_position",))
        columns = {"sequence": sequence, "alternate": sequence, "offset": Column("int32")}
        columns |= {name: Column("string") for name in ("chrom", "id", "ref", "alt", "kind")}
        columns |= {"position": Column("int64"), "start": Column("int64"), **self._scores.columns}
        return Layout("variant", columns, self._scores.results, numbers=self._scores.numbers)

    def __call__(self, rows: Mapping[str, Array]) -> Scored:
        """Score the variants of one task (columns by name)."""
        before = self.programs.rescored
        columns = {
            name: rows[name] for name in ("sequence", "alternate", "offset", "ref", "alt", *self._scores.columns)
        }
        columns["width"] = np.array([len(a) for a in rows["alt"]])
        columns["equal"] = (rows["kind"] == "substitution") & ~self._hidden(columns)
        pieces = [[y[:n] for y in self._block(block)] for block, n in blocks_of(columns, self.programs.block)]
        return join(list(self._scores.results), pieces, {"rescored": self.programs.rescored - before})

    def _block(self, rows: Mapping[str, Array]) -> list[Array]:
        strands = [self._alleles(rows)]
        if self.settings.rc:
            alphabet, length = self.programs.encoding.alphabet, self.programs.encoding.length
            reverse = {
                "sequence": alphabet.reverse_complement(rows["sequence"]),
                "alternate": alphabet.reverse_complement(rows["alternate"]),
                "offset": length - rows["offset"] - rows["width"],
            }
            strands.append(self._alleles({**rows, **reverse}))
        return self._scores(strands, rows)

    def _alleles(self, rows: Mapping[str, Array]) -> Alleles:
        """The outputs of one strand."""
        equal = np.flatnonzero(rows["equal"])
        other = np.flatnonzero(~rows["equal"])
        parts = [f(rows, chosen) for f, chosen in ((self._fast, equal), (self._whole, other)) if len(chosen)]
        order = np.argsort(np.concatenate([equal, other]))
        both = [[np.concatenate(y)[order] for y in zip(*side, strict=True)] for side in zip(*parts, strict=True)]
        return Alleles(*both)

    def _fast(self, rows: Mapping[str, Array], chosen: Array) -> tuple[list[Array], list[Array]]:
        """Alternates and references of substitutions; for a reference, its own letters are put in."""
        x = self.programs.inputs(rows["sequence"], {})
        jobs = [
            (int(i), int(rows["offset"][i]), self._allele(rows[column][i], rows["offset"][i], rows["width"][i]))
            for column in ("alternate", "sequence")
            for i in chosen
        ]
        both = self.programs.flat(self.programs.forward.variants(x, jobs))
        return [y[: len(chosen)] for y in both], [y[len(chosen) :] for y in both]

    @staticmethod
    def _hidden(rows: Mapping[str, Array]) -> Array:
        """Variants whose own letters are unknown in part, outside their gene: a program cannot put them in as text."""
        places = zip(rows["sequence"], rows["offset"], rows["width"], strict=True)
        return np.array([bool((codes[at : at + width] == UNKNOWN).any()) for codes, at, width in places], bool)

    def _allele(self, codes: Codes, offset: int, width: int) -> str:
        return self.programs.encoding.alphabet.text(codes[offset : offset + width])

    def _whole(self, rows: Mapping[str, Array], chosen: Array) -> tuple[list[Array], list[Array]]:
        """Alternates and references by the model itself; always two blocks of sequences, for constant shapes."""
        block, count = len(rows["sequence"]), len(chosen)
        chosen = chosen[np.minimum(np.arange(block), count - 1)]
        codes = np.concatenate([rows["alternate"][chosen], rows["sequence"][chosen]])
        both = self.programs.flat(self.programs.forward.reference(self.programs.inputs(codes, {})))
        return [y[:count] for y in both], [y[block : block + count] for y in both]
