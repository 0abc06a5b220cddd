"""The scores of variants: equal lengths through the compiled program, insertions and deletions by whole sequences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fastism_compiler.genomics.alphabet import Codes
from fastism_compiler.runs.blocks import Scored, blocks_of, join
from fastism_compiler.runs.layout import Column, Layout, output_dims
from fastism_compiler.runs.programs import Array, Programs
from fastism_compiler.runs.scores import scored
from fastism_compiler.runs.settings import Settings


class VariantScorer:
    """Scores tasks of variants.

    Args:
        programs: compiled for every position.
        settings: of the run.
    """

    def __init__(self, programs: Programs, settings: Settings) -> None:
        self.programs, self.settings = programs, settings

    def layout(self) -> Layout:
        """The arrays of the store."""
        sequence = Column("uint8", (self.programs.encoding.length,), ("input_position",))
        columns = {"sequence": sequence, "alternate": sequence, "offset": Column("int32")}
        columns |= {name: Column("string") for name in ("chrom", "id", "ref", "alt", "kind")}
        columns |= {"position": Column("int64"), "start": Column("int64")}
        results = {}
        for name, shape in self.programs.shapes.items():
            results[f"scores/{name}"] = Column("float32", shape, output_dims(name, shape))
            results[f"reference/{name}"] = Column("float32", shape, output_dims(name, shape))
        return Layout("variant", columns, results)

    def __call__(self, rows: Mapping[str, Array]) -> Scored:
        """Score the variants of one task (columns by name)."""
        before = self.programs.rescored
        columns = {
            "sequence": rows["sequence"],
            "alternate": rows["alternate"],
            "offset": rows["offset"],
            "width": np.array([len(a) for a in rows["alt"]]),
            "equal": rows["kind"] == "substitution",
        }
        pieces = [[y[:n] for y in self._block(block)] for block, n in blocks_of(columns, self.programs.block)]
        names = [name for o in self.programs.outputs for name in (f"scores/{o.name}", f"reference/{o.name}")]
        return join(names, pieces, {"rescored": self.programs.rescored - before})

    def _block(self, rows: Mapping[str, Array]) -> list[Array]:
        result = self._strand(rows)
        if not self.settings.rc:
            return result
        alphabet, length = self.programs.encoding.alphabet, self.programs.encoding.length
        reverse = self._strand(
            {
                **rows,
                "sequence": alphabet.reverse_complement(rows["sequence"]),
                "alternate": alphabet.reverse_complement(rows["alternate"]),
                "offset": length - rows["offset"] - rows["width"],
            }
        )
        return [(y + z) / 2 for y, z in zip(result, reverse, strict=True)]

    def _strand(self, rows: Mapping[str, Array]) -> list[Array]:
        equal = np.flatnonzero(rows["equal"])
        other = np.flatnonzero(~rows["equal"])
        parts = [f(rows, chosen) for f, chosen in ((self._fast, equal), (self._whole, other)) if len(chosen)]
        order = np.argsort(np.concatenate([equal, other]))
        results = []
        for output in range(len(self.programs.outputs)):
            value = np.concatenate([values[output] for values, _ in parts])[order]
            reference = np.concatenate([references[output] for _, references in parts])[order]
            results.append(scored(self.settings.score, value, reference, self.settings.pseudocount))
            results.append(reference.astype(np.float32))
        return results

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

    def _allele(self, codes: Codes, offset: int, width: int) -> str:
        return self.programs.encoding.alphabet.text(codes[offset : offset + width])

    def _whole(self, rows: Mapping[str, Array], chosen: Array) -> tuple[list[Array], list[Array]]:
        """Alternates and references by the model itself; always two blocks of sequences, for constant shapes."""
        block, count = len(rows["sequence"]), len(chosen)
        chosen = chosen[np.minimum(np.arange(block), count - 1)]
        codes = np.concatenate([rows["alternate"][chosen], rows["sequence"][chosen]])
        both = self.programs.flat(self.programs.forward.reference(self.programs.inputs(codes, {})))
        return [y[:count] for y in both], [y[block : block + count] for y in both]
