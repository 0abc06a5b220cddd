"""The report of a list of variants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from click.testing import CliRunner

import fastism_compiler as fc
from fastism_compiler.cli import main
from fastism_compiler.report import variants as report
from fastism_compiler.report import write_report
from tests.report.test_report import Page
from tests.runs.models import genome, save, small_model, write_fasta


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("variants")
    letters = genome(np.random.default_rng(3), {"chr1": 400, "chr2": 300})
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    places = [("chr1", 100), ("chr2", 120), ("chr1", 200), ("chr1", 205), ("chr2", 90)]
    lines = [f"{c}\t{p}\tid{i}\t{(r := letters[c][p - 1])}\t{other[r]}" for i, (c, p) in enumerate(places)]
    lines.append(f"chr1\t210\t<b>\t{letters['chr1'][209]}\t{letters['chr1'][209]}GATTACA")
    (folder / "v.tsv").write_text("chrom\tpos\tid\tref\talt\n" + "\n".join(lines) + "\n")
    model, fasta = save(small_model(), folder), write_fasta(folder / "g.fa", letters)
    fc.scan_variants(model, fasta, folder / "v.tsv", folder / "v.zarr", execution=fc.Execution(verify=False))
    return folder / "v.zarr"


def test_the_table_says_what_the_store_says(store: Path, tmp_path: Path) -> None:
    write_report(store, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    page = Page(text)
    head, *rows = page.rows
    assert head[0] == "chromosome"
    group = zarr.open_group(store, mode="r")
    scores = np.concatenate([group["scores/head"][:], group["scores/chance"][:]], axis=1)
    order = np.argsort(-np.abs(scores).max(axis=1), kind="stable")
    assert [r[2] for r in rows] == [str(group["id"][i]) for i in order]
    for cells, i in zip(rows, order, strict=True):
        k = np.abs(scores[i]).argmax()
        assert cells[0] == str(group["chrom"][i])
        assert int(cells[1]) == int(group["position"][i]) + 1
        assert cells[3] == f"{group['ref'][i]}>{group['alt'][i]}"
        assert cells[5] == f"{scores[i, k]:.4g}"
        assert cells[7] == [*(f"head:{j}" for j in range(3)), "chance"][k]
        assert cells[8] == "0"
    assert "6 variants · 1 insertion · 5 substitutions" in text.replace("\xa0", " ")
    assert "<b>" not in text, "a name is text"
    assert sum(tag == "figure" for tag, _ in page.tags) == 2, "two chromosomes"


def test_one_output_on_the_command_line(store: Path, tmp_path: Path) -> None:
    arguments = ["report", str(store), str(tmp_path / "r.html"), "--output", "head:1", "--top", "1"]
    run = CliRunner().invoke(main, arguments)
    assert run.exit_code == 0, run.output
    page = Page((tmp_path / "r.html").read_text())
    assert {r[7] for r in page.rows[1:]} == {"head:1"}
    assert sum(tag == "figure" for tag, _ in page.tags) == 1
    wrong = CliRunner().invoke(main, [*arguments[:4], "nothing", "--overwrite"])
    assert wrong.exit_code == 2
    assert "no such output" in wrong.output


def test_many_variants_are_cut_and_said_to_be(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_DRAWN", 2)
    monkeypatch.setattr("fastism_compiler.report._LISTED", 3)
    write_report(store, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert len(Page(text).rows) == 4
    assert "The strongest 3 of 6 variants" in text
    assert "of the strongest 2 of 4" in text
