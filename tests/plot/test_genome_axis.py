"""Axes numbered as the chromosome is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastism_compiler.plot import logo_figure
from fastism_compiler.plot.genome_axis import number_on_genome, place_of
from fastism_compiler.plot.scan import ScannedSequence, open_scan
from fastism_compiler.plot.scanned import Choice, draw
from tests.plot.store import write_store


@pytest.mark.parametrize(("strand", "expected"), [("+", "1,004"), ("-", "1,017")])
def test_ticks_count_from_one_along_the_strand(strand: str, expected: str) -> None:
    sequence = ScannedSequence(0, "s", "chr1", 1000, 1020, strand)
    figure = number_on_genome(logo_figure({"": np.ones((20, 4))}), sequence)
    (ax,) = figure.axes
    assert ax.xaxis.get_major_formatter()(3.0, 0) == expected
    assert ax.get_xlabel() == f"position on chr1 ({strand})"
    assert all(float(tick).is_integer() for tick in ax.get_xticks())
    assert place_of(sequence, 3) == int(expected.replace(",", ""))


def test_sequences_on_no_chromosome_keep_their_positions() -> None:
    figure = number_on_genome(logo_figure({"": np.ones((20, 4))}), ScannedSequence(0, "s", "", 0, 20, "+"))
    assert figure.axes[0].get_xlabel() == "position"


@pytest.mark.parametrize("kind", ["logo", "heatmap", "lollipop"])
def test_pictures_of_a_store(tmp_path: Path, kind: str) -> None:
    scan = open_scan(write_store(tmp_path / "scores.zarr"))
    figure = draw(scan, kind, Choice(sequence="2", output="scalar"))
    assert any(ax.get_xlabel().startswith("position on chr2 (-)") for ax in figure.axes)
