"""Tables: scores of a variant that are made of all outputs together, several columns each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from fastism_compiler.runs import profile_scores, splice_scores


@dataclass(frozen=True, slots=True)
class Table:
    """A table of scores.

    Attributes:
        columns: what each column is, in their order.
        ranked_by: the columns by which variants are listed where none is asked for.
    """

    columns: Mapping[str, str]
    ranked_by: Sequence[str]


TABLES: Mapping[str, Table] = MappingProxyType(
    {
        profile_scores.PROFILE: Table(profile_scores.COLUMNS, profile_scores.RANKED_BY),
        splice_scores.SPLICE: Table(splice_scores.COLUMNS, splice_scores.RANKED_BY),
    }
)
"""By the name of the score."""


def has_references(attributes: Mapping[str, Any]) -> bool:
    """Whether a store of these attributes holds the model's outputs for the sequences themselves beside its scores."""
    return attributes.get("score") not in TABLES
