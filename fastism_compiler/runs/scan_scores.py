"""The scores of a scan: one task's sequences through the programs, on one strand or both."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fastism_compiler.genomics.alphabet import UNKNOWN, Codes
from fastism_compiler.runs.blocks import Scored, blocks_of, join
from fastism_compiler.runs.layout import Column, Layout, output_dims
from fastism_compiler.runs.programs import Array, Programs
from fastism_compiler.runs.scores import scored
from fastism_compiler.runs.settings import ScanSettings


class ScanScorer:
    """Scores tasks of a scan.

    Args:
        programs: compiled for the scan's change ranges.
        settings: of the scan.
    """

    def __init__(self, programs: Programs, settings: ScanSettings) -> None:
        self.programs, self.settings = programs, settings

    def layout(self) -> Layout:
        """The arrays of the scan's store."""
        programs, settings = self.programs, self.settings
        encoding = programs.encoding
        columns = {
            "sequence": Column("uint8", (encoding.length,), ("input_position",)),
            "name": Column("string"),
            "chrom": Column("string"),
            "start": Column("int64"),
            "end": Column("int64"),
            "strand": Column("string"),
        }
        for name, (shape, dtype, _) in programs.other_inputs.items():
            columns[f"inputs/{name}"] = Column(dtype, shape, output_dims(name, shape))
        if settings.ranges is None:
            positions = np.array(settings.positions(encoding.length), np.int32)
            scanned: tuple[int, ...] = (len(positions), len(encoding.numbers))
            dims: tuple[str, ...] = ("position", "letter")
            fixed: dict[str, tuple[Array, tuple[str, ...]]] = {"positions": (positions, ("position",))}
        else:
            scanned, dims = (len(settings.ranges),), ("range",)
            fixed = {"ranges": (np.array(settings.ranges, np.int32), ("range", "bound"))}
        results = {}
        for name, shape in programs.shapes.items():
            out = output_dims(name, shape)
            results[f"scores/{name}"] = Column("float32", (*scanned, *shape), (*dims, *out))
            results[f"reference/{name}"] = Column("float32", shape, out)
        return Layout("sequence_index", columns, results, fixed, programs.numbers)

    def __call__(self, rows: Mapping[str, Array]) -> Scored:
        """Score the sequences of one task (columns by name)."""
        before = self.programs.rescored
        others = {name: rows[f"inputs/{name}"] for name in self.programs.other_inputs}
        pieces = []
        for block, count in blocks_of({"": rows["sequence"], **others}, self.programs.block):
            codes = block.pop("")
            pieces.append([y[:count] for y in self._block(codes, block)])
        names = [name for o in self.programs.outputs for name in (f"scores/{o.name}", f"reference/{o.name}")]
        return join(names, pieces, {"rescored": self.programs.rescored - before})

    def _block(self, codes: Codes, others: Mapping[str, Array]) -> list[Array]:
        """Scores and references of one block, output by output."""
        result = self._strand(codes, others, reverse=False)
        if not self.settings.rc:
            return result
        return [(y + z) / 2 for y, z in zip(result, self._reverse(codes, others), strict=True)]

    def _reverse(self, codes: Codes, others: Mapping[str, Array]) -> list[Array]:
        """The scan of the reverse complement, put back to the positions and letters of the forward strand."""
        alphabet = self.programs.encoding.alphabet
        _, place = self.programs.reverse
        result = self._strand(alphabet.reverse_complement(codes), others, reverse=True)
        for i in range(0, len(result), 2):
            result[i] = result[i][:, place]
            if self.settings.ranges is None:
                result[i] = result[i][:, :, alphabet.complement_order]
        return result

    def _strand(self, codes: Codes, others: Mapping[str, Array], reverse: bool) -> list[Array]:
        programs, settings = self.programs, self.settings
        program = programs.reverse[0] if reverse else programs.forward
        x = programs.inputs(codes, others)
        if settings.ranges is not None:
            token = programs.encoding.unknown_token
            values = programs.flat(program(x, replace_with=0 if token is None else token))
            references = programs.flat(program.reference(x))
            axes = 1
        else:
            values = programs.by_letter(programs.flat(program.saturate(x)))
            references = self._references(codes, x, values, program.ranges.lo, reverse)
            axes = 2
        results = []
        for value, reference in zip(values, references, strict=True):
            own = reference.reshape(len(reference), *[1] * axes, *reference.shape[1:])
            results.append(scored(settings.score, value, own, settings.pseudocount))
            results.append(reference.astype(np.float32))
        return results

    def _references(self, codes: Codes, x: object, values: list[Array], positions: Array, reverse: bool) -> list[Array]:
        """The model's outputs for the unchanged sequences: the results for letters that are already there.

        So no second forward pass is needed, and an unchanged letter has a score of exactly 0. A sequence without a
        known letter has no such result, and is scored by the reference pass.
        """
        known = codes[:, positions] != UNKNOWN
        sequence, first, some = np.arange(len(codes)), known.argmax(axis=1), known.any(axis=1)
        letter = np.where(some, codes[sequence, positions[first]], 0)
        own = [y[sequence, first, letter] for y in values]
        if not some.all():
            program = self.programs.reverse[0] if reverse else self.programs.forward
            for y, reference in zip(own, self.programs.flat(program.reference(x)), strict=True):
                y[~some] = reference[~some]
        return own
