"""What is stored of the outputs for both alleles of a variant: one score of each number, or a table of scores.

Of several models, such as folds, outputs are averaged before they are scored, or the scores of each are
(`combine="scores"`, as variant-scorer summarises folds).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastism_compiler.arguments import instance
from fastism_compiler.runs.layout import Array, Column, output_dims
from fastism_compiler.runs.outputs import Output
from fastism_compiler.runs.profile_scores import PROFILE, ProfileScores
from fastism_compiler.runs.programs import Programs
from fastism_compiler.runs.scores import scored
from fastism_compiler.runs.settings import Settings, VariantSettings
from fastism_compiler.runs.splice_scores import SPLICE, SpliceScores


class Alleles(NamedTuple):
    """The model's outputs for a block of variants, in the order in which they are scored."""

    alternate: list[Array]
    reference: list[Array]


class AlleleScores(Protocol):
    """Scores of a block of variants.

    Attributes:
        results: the arrays of the store that are written.
        numbers: of what is scored in part (see `outputs.numbers_along`).
        columns: of the input, beside those of every variant; they are among `rows`.
    """

    @property
    def results(self) -> Mapping[str, Column]: ...

    @property
    def numbers(self) -> Mapping[str, Any]: ...

    @property
    def columns(self) -> Mapping[str, Column]: ...

    def __call__(self, strands: Sequence[Alleles], rows: Mapping[str, Array]) -> list[Array]:
        """One array per result.

        Args:
            strands: outputs for the sequences, and for their reverse complements if both strands are averaged.
            rows: columns of the variants.
        """


@dataclass(frozen=True)
class OutputScores:
    """One score of every number of every output, beside the outputs for the reference. Strands: scores averaged."""

    outputs: Sequence[Output]
    shapes: Mapping[str, tuple[int, ...]]
    numbers: Mapping[str, Any]
    settings: Settings
    columns: Mapping[str, Column] = field(default_factory=dict)

    @property
    def results(self) -> dict[str, Column]:
        """`scores/` and `reference/` of each output."""
        found: dict[str, Column] = {}
        for output in self.outputs:
            column = Column("float32", self.shapes[output.name], output_dims(output.name, self.shapes[output.name]))
            found |= {f"scores/{output.name}": column, f"reference/{output.name}": column}
        return found

    def __call__(self, strands: Sequence[Alleles], rows: Mapping[str, Array]) -> list[Array]:
        """See `AlleleScores`."""
        each = [self._strand(alleles) for alleles in strands]
        return each[0] if len(each) == 1 else [(y + z) / 2 for y, z in zip(*each, strict=True)]

    def _strand(self, alleles: Alleles) -> list[Array]:
        results: list[Array] = []
        for value, reference in zip(*alleles, strict=True):
            results.append(scored(self.settings.score, value, reference, self.settings.pseudocount))
            results.append(reference.astype(np.float32))
        return results


@dataclass(frozen=True)
class MeanOfScores:
    """The mean over several models of what each one's outputs give.

    Attributes:
        one: the scores of one model.
        models: how many there are; their outputs follow one another.
    """

    one: AlleleScores
    models: int

    @property
    def results(self) -> Mapping[str, Column]:
        """Those of one model."""
        return self.one.results

    @property
    def numbers(self) -> Mapping[str, Any]:
        """Those of one model."""
        return self.one.numbers

    @property
    def columns(self) -> Mapping[str, Column]:
        """Those of one model."""
        return self.one.columns

    def __call__(self, strands: Sequence[Alleles], rows: Mapping[str, Array]) -> list[Array]:
        """See `AlleleScores`; a score that does not exist for one of the models is NaN."""
        tables = [self.one([self._of(alleles, number) for alleles in strands], rows) for number in range(self.models)]
        return [np.asarray(np.mean(each, axis=0, dtype=np.float64), np.float32) for each in zip(*tables, strict=True)]

    def _of(self, alleles: Alleles, number: int) -> Alleles:
        own = len(alleles.reference) // self.models
        return Alleles(*(outputs[number * own : (number + 1) * own] for outputs in alleles))


def allele_scores(programs: Programs, settings: Settings) -> AlleleScores:
    """What these settings store.

    Raises:
        OptionError: a table of scores that needs other outputs than the model has.
    """
    one = _of_one_model(programs, settings)
    return MeanOfScores(one, settings.models) if settings.apart else one


def _of_one_model(programs: Programs, settings: Settings) -> AlleleScores:
    if settings.score == PROFILE:
        return ProfileScores.of(programs.shapes, settings.reduce, programs.encoding.length)
    if settings.score == SPLICE:
        return splice_scores(programs, settings)
    return OutputScores(programs.outputs, programs.shapes, programs.numbers, settings)


def splice_scores(programs: Programs, settings: Settings) -> SpliceScores:
    """The scores of `score="splice"`.

    Raises:
        OptionError: outputs that are no probabilities of splice sites.
    """
    asked = instance("settings", settings, VariantSettings)
    return SpliceScores.of(programs.shapes, asked.distance, asked.mask, programs.encoding.length)
