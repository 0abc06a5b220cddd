"""Jobs: what a run is asked to do. One kind for scans, one for variants; `format` of a store says which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastism_compiler.genomics.errors import Refusals
from fastism_compiler.runs.blocks import Scored
from fastism_compiler.runs.layout import Array, Layout, Row
from fastism_compiler.runs.programs import Programs, compile_programs
from fastism_compiler.runs.scan_scores import ScanScorer
from fastism_compiler.runs.settings import ScanSettings, Settings, VariantSettings
from fastism_compiler.runs.variant_scores import VariantScorer

SCAN, VARIANTS = "fastism-scan", "fastism-variants"
VERSION = 1


class Scorer(Protocol):
    """Scores tasks."""

    programs: Programs

    def layout(self) -> Layout:
        """The arrays of the store."""

    def __call__(self, rows: Mapping[str, Array]) -> Scored:
        """Score the rows of one task."""


@dataclass
class Input:
    """What reading the input found out, for the summary.

    Attributes:
        refusals: what was left out.
        counts: rows by kind, unknown letters.
        chromosomes: lengths of those that rows lie on.
    """

    refusals: Refusals
    counts: Counter[str] = field(default_factory=Counter)
    chromosomes: dict[str, int] = field(default_factory=dict)


class Job(Protocol):
    """One run, as its command describes it."""

    @property
    def model(self) -> Any:
        """A path, or a Keras model."""

    @property
    def settings(self) -> Settings:
        """What decides the numbers."""

    @property
    def sources(self) -> dict[str, str]:
        """Names of the files that are read, for the manifest."""

    def rows(self, programs: Programs, found: Input) -> Iterator[Row]:
        """The rows of the input."""


def scorer_of(model: Any, settings: Settings, block: int | None = None, verify: bool = False) -> Scorer:
    """Compile a model for these settings.

    Raises:
        FastISMError: what `compile` refuses.
    """
    return scorer_with(compile_programs(model, settings, block, verify), settings)


def scorer_with(programs: Programs, settings: Settings) -> Scorer:
    """The scorer of these settings for programs that are compiled."""
    if isinstance(settings, ScanSettings):
        return ScanScorer(programs, settings)
    return VariantScorer(programs, settings)


def format_of(settings: Settings) -> str:
    """The `format` attribute of a store of these settings."""
    return SCAN if isinstance(settings, ScanSettings) else VARIANTS


_SETTINGS: dict[str, Callable[[Mapping[str, Any]], Settings]] = {
    SCAN: ScanSettings.from_json,
    VARIANTS: VariantSettings.from_json,
}


def settings_of(attributes: Mapping[str, Any]) -> Settings:
    """The settings that a store was made with."""
    return _SETTINGS[attributes["format"]](attributes["settings"])
