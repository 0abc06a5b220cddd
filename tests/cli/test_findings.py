"""From a model and files to numbers, pictures and a report: the commands work on what the others wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from click.testing import CliRunner
from matplotlib.figure import Figure

from fastism_compiler.cli import main
from fastism_compiler.plot.scan import open_scan, open_store
from fastism_compiler.plot.scanned import Choice, draw
from fastism_compiler.plot.variant_store import draw_variants
from fastism_compiler.results.importance import importance
from tests.runs.models import save, small_model, write_fasta

SEQUENCES = {"a": "ACGTTGCAAC" * 3, "b": "NNGTTGCAAC" + "CCATG" * 4}


def run(*arguments: str | Path | int) -> Any:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("findings")
    model = save(small_model(30), folder)
    scanned = run("scan", model, write_fasta(folder / "in.fa", SEQUENCES), folder / "scan.zarr", "--no-verify")
    assert scanned.exit_code == 0, scanned.output
    genome = write_fasta(folder / "genome.fa", {"c": "ACGTTGCAAC" * 15, "d": "T" * 80})
    (folder / "in.tsv").write_text("c\t51\tA\tG\nc\t52\tC\tCTT\nd\t40\tT\tA\n")
    scored = run("variants", model, genome, folder / "in.tsv", folder / "variants.zarr", "--no-verify")
    assert scored.exit_code == 0, scored.output
    return folder


def test_the_logo_of_a_scan_is_its_importance(folder: Path) -> None:
    scan = open_scan(folder / "scan.zarr")
    group = zarr.open_group(str(folder / "scan.zarr"), mode="r")
    head = scan.outputs[0]
    letters = group["sequence"][1]
    expected = importance(group[f"scores/{head}"][1][..., 0], letters)
    assert np.isnan(expected[:2]).all() and np.isfinite(expected[2:]).all(), "unknown letters have no importance"
    figure = draw(scan, "logo", Choice("b", f"{head}:0"))
    assert len(figure.axes[0].patches) == (expected[2:] != 0).sum()


@pytest.mark.parametrize("kind", ["logo", "heatmap", "outputs", "lollipop"])
def test_every_picture_of_a_scan(folder: Path, kind: str) -> None:
    picture = folder / f"{kind}.png"
    options = [] if kind == "outputs" else ["--output", "head:0"]
    result = run("plot", folder / "scan.zarr", picture, "--kind", kind, "--sequence", "b", *options)
    assert result.exit_code == 0, result.output
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_report_of_a_scan(folder: Path) -> None:
    result = run("report", folder / "scan.zarr", folder / "report.html")
    assert result.exit_code == 0, result.output
    page = (folder / "report.html").read_text()
    assert all(name in page for name in SEQUENCES)
    assert "model.keras" in page


def test_variants_of_one_chromosome(folder: Path) -> None:
    store = open_store(folder / "variants.zarr")
    figure = draw_variants(store, "lollipop", Choice(output="head:0"))
    assert isinstance(figure, Figure)
    heads = figure.axes[0].collections[1].get_offsets()
    np.testing.assert_allclose(heads[:, 1], store["scores/head"][:2, 0], rtol=1e-6)
    assert heads[:, 0].tolist() == [51, 52]
    picture = folder / "d.svg"
    result = run(
        "plot", folder / "variants.zarr", picture, "--kind", "lollipop", "--sequence", "d", "--output", "head:0"
    )
    assert result.exit_code == 0, result.output
    assert "T40A" in picture.read_text() or picture.stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kind", "logo", "--output", "head:0"], "lollipops"),
        (["--kind", "lollipop", "--sequence", "x", "--output", "head:0"], "no variant lies on this chromosome"),
        (["--kind", "lollipop", "--positions", "0-3", "--output", "head:0"], "between these positions"),
        (["--kind", "lollipop", "--output", "tail"], "no such output"),
        (["--kind", "lollipop", "--output", "head:99"], "no such number"),
        (["--kind", "lollipop"], "choose one output"),
    ],
)
def test_mistakes_are_explained(folder: Path, options: list[str], message: str) -> None:
    result = run("plot", folder / "variants.zarr", folder / "x.png", *options)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
