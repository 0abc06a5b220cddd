from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from click.testing import CliRunner

from fastism_compiler.cli import main
from fastism_compiler.models.randomize import randomize
from fastism_compiler.plot import scanned
from fastism_compiler.plot.scan import open_scan
from fastism_compiler.plot.scanned import Choice, draw
from tests.graphs import GRAPHS
from tests.plot.store import LENGTH, POSITIONS, write_store


def run(*arguments: object) -> Any:
    return CliRunner().invoke(main, [str(a) for a in arguments])


SIGNATURES = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.mark.parametrize(
    ("kind", "options", "extension"),
    [
        ("logo", ("--output", "head:1", "--sequence", "second"), ".svg"),
        ("logo", ("--output", "scalar", "--method", "mean-centred", "--positions", "3-9"), ".pdf"),
        ("heatmap", ("--output", "scalar", "--sequence", "2"), ".png"),
        ("browser", ("--output", "head:1", "--positions", "3-9"), ".svg"),
        ("browser", ("--output", "scalar", "--sequence", "2", "--method", "loss"), ".png"),
        ("outputs", ("--method", "loss", "--top", "4"), ".png"),
        ("lollipop", ("--output", "head:0"), ".svg"),
    ],
)
def test_every_kind_is_written(
    store: Path, tmp_path: Path, kind: str, options: tuple[str, ...], extension: str
) -> None:
    target = tmp_path / f"picture{extension}"
    result = run("plot", store, target, "--kind", kind, *options)
    assert result.exit_code == 0, result.output
    first = target.read_bytes()
    assert first.startswith(SIGNATURES[extension])
    run("plot", store, target, "--kind", kind, *options)
    assert target.read_bytes() == first, "the same picture is the same file"


def test_a_view_has_one_numbering(store: Path) -> None:
    """A sequence on a chromosome, on the minus strand."""
    figure = draw(open_scan(store), "browser", Choice("chr2:5-17", "scalar", (1, 12)))
    figure.canvas.draw()
    track, logo, cells = figure.axes[:3]
    shown = [[tick.get_text() for tick in ax.get_xticklabels() if tick.get_visible()] for ax in (track, logo, cells)]
    assert {label for label in shown[0] if label} <= {str(n) for n in range(6, 18)}
    assert not any(shown[1])
    assert cells.get_xlim()[0] == pytest.approx(1.4), "from the first position that was scanned"


def test_pictures_show_the_numbers_of_the_store(store: Path) -> None:
    scan, group = open_scan(store), zarr.open_group(store, mode="r")
    sequence, scores = group["sequence"][0], group["scores/head"][0, :, :, 2]
    choice = Choice("first", "head:2")
    logo = draw(scan, "logo", choice).axes[0]
    alternatives = scores[[p for p in range(7) if p != 3]].sum(-1) / -3
    heights = [p.get_path().get_extents() for p in logo.patches if type(p).__name__ == "PathPatch"]
    assert len(heights) == 6
    np.testing.assert_allclose(sorted(b.height for b in heights), sorted(np.abs(alternatives)), rtol=1e-5)
    cells = draw(scan, "heatmap", choice).axes[0].images[1].get_array()
    shown = np.ma.getmaskarray(cells).T
    for column, position in enumerate(range(2, 10)):
        assert shown[column, sequence[position]], "the reference's own cell is blank"
        for letter in set(range(4)) - {int(sequence[position])}:
            failed = position == 5 or (position == 6 and letter == (sequence[6] + 1) % 4)
            assert shown[column, letter] == failed
    np.testing.assert_array_equal(cells.T[~shown], scores[np.nonzero(~shown[POSITIONS - 2])])


def test_lollipops_of_a_scan_name_every_substitution(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(
        scanned, "lollipop_figure", lambda *a, **k: given.update(positions=a[0], effects=a[1], labels=a[2])
    )
    scan, group = open_scan(store), zarr.open_group(store, mode="r")
    draw(scan, "lollipop", Choice("second", "head:1", (3, 5)))
    letters = "".join("ACGT"[i] if i < 4 else "N" for i in group["sequence"][1])
    expected = [f"{letters[p]}{p}{b}" for p in (3, 4) for b in "ACGT" if b != letters[p]]
    assert given["labels"] == expected
    assert len(expected) == 7, "position 4 is unknown: four alternatives"
    for position, effect, label in zip(given["positions"], given["effects"], given["labels"], strict=True):
        column = POSITIONS.tolist().index(position)
        assert effect == group["scores/head"][1, column, "ACGT".index(label[-1]), 1]


def test_outputs_of_a_scan_are_importances(store: Path) -> None:
    scan, group = open_scan(store), zarr.open_group(store, mode="r")
    figure = draw(scan, "outputs", Choice("2", "head"))
    names = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    rows = figure.axes[0].images[0].get_array()
    for name, row in zip(names, rows, strict=True):
        np.testing.assert_allclose(row, -group["scores/head"][2, :, :, int(name[-1])].sum(-1) / 3, rtol=1e-5)
    everything = draw(scan, "outputs", Choice("2"))
    assert {t.get_text() for t in everything.axes[0].get_yticklabels()} == {"scalar", *names}


def test_a_scan_of_ranges(ranges_store: Path, tmp_path: Path) -> None:
    for kind in ("outputs", "lollipop"):
        result = run("plot", ranges_store, tmp_path / "r.png", "--kind", kind, "--output", "head:1")
        assert result.exit_code == 0, result.output
    (ax,) = draw(open_scan(ranges_store), "lollipop", Choice("0", "scalar")).axes
    assert ax.collections[1].get_offsets()[:, 0].tolist() == [1.5, 4.0, 9.5]
    assert "every letter" in run("plot", ranges_store, tmp_path / "r.png", "--output", "scalar").output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sequence", "nobody"), "no such sequence"),
        (("--output", "tail"), "no such output"),
        (("--output", "head"), "choose it"),
        (("--output", "head:9"), "0 .. 3"),
        ((), "several outputs"),
        (("--output", "scalar", "--positions", f"3-{LENGTH + 1}"), "inside the sequence"),
        (("--output", "scalar", "--positions", "5-6"), "nothing was scanned"),
        (("--output", "scalar", "--positions", "five"), "two numbers and a dash"),
        (("--kind", "heatmap", "--output", "head"), "choose it"),
        (("--kind", "outputs", "--method", "mean-centred"), "unknown measure"),
        (("--kind", "outputs", "--top", "0"), "at least one output"),
        (("--kind", "pie"), "pie"),
    ],
)
def test_mistakes_are_explained(store: Path, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    result = run("plot", store, tmp_path / "p.png", *options)
    assert result.exit_code != 0
    assert message in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "p.png").exists()


def test_files_that_cannot_be_written_or_read(store: Path, tmp_path: Path) -> None:
    for target, message in ((tmp_path / "p.gif", ".png or .svg or .pdf"), (tmp_path / "no" / "p.png", "folder")):
        assert message in run("plot", store, target).output
    (tmp_path / "taken.png").mkdir()
    assert "directory" in run("plot", store, tmp_path / "taken.png", "--output", "scalar").output
    result = run("plot", tmp_path / "none.zarr", tmp_path / "p.png")
    assert result.exit_code == 2
    assert "does not exist" in result.output


def test_explain_draws(tmp_path: Path) -> None:
    model = tmp_path / "model.keras"
    randomize(GRAPHS["attention"]()).save(model)
    result = run("explain", model, "--draw", tmp_path / "model.svg")
    assert result.exit_code == 0, result.output
    assert "less arithmetic" in result.output
    text = (tmp_path / "model.svg").read_text()
    assert "reference:multi_head_attention" in text
    assert "tile:multi_head_attention" in text
    (tmp_path / "mine.svg").write_text("mine")
    for command in (("explain", model, "--draw"), ("plot", write_store(tmp_path / "scan.zarr"))):
        refused = run(*command, tmp_path / "mine.svg")
        assert (refused.exit_code, "--overwrite" in refused.output) == (2, True), refused.output
        assert (tmp_path / "mine.svg").read_text() == "mine"
    drawn = run("plot", tmp_path / "scan.zarr", tmp_path / "mine.svg", "--output", "scalar", "--overwrite")
    assert drawn.exit_code == 0, drawn.output
    refused = run("explain", model, "--draw", tmp_path / "model.txt")
    assert refused.exit_code == 2
    assert ".png or .svg or .pdf" in refused.output
