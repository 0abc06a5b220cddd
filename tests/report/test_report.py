from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from click.testing import CliRunner

import fastism_compiler as fc
from fastism_compiler.cli import main
from fastism_compiler.plot.scan import Output, ScannedSequence, open_scan
from fastism_compiler.report import write_report
from fastism_compiler.report.summary import Summary, on_genome, summarise
from tests.plot.store import NAMES, POSITIONS, SEQUENCES, write_store

VOID = {"meta", "link", "br", "img", "input"}
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


class Page(HTMLParser):
    """A page taken apart; tags that do not match fail."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if set(self.open) & {"td", "th"}:
            self.rows[-1][-1] += data


def written(store: Path, target: Path, **options: Any) -> tuple[str, Page]:
    write_report(store, target, **options)
    text = target.read_text(encoding="utf-8")
    return text, Page(text)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write_store(tmp_path / "scores.zarr")


def by_hand(store: Path, row: int) -> tuple[float, str, str, int]:
    """Effect, substitution, output and failed cells of a sequence, with plain loops."""
    group = zarr.open_group(store, mode="r")
    letters = group["sequence"][row]
    best, failed = (0.0, "", ""), 0
    for name, numbers in (("scalar", 1), ("head", 4)):
        for column, position in enumerate(POSITIONS):
            for letter in range(4):
                for k in range(numbers):
                    effect = float(group[f"scores/{name}"][row, column, letter, k])
                    if letter == letters[position]:
                        continue
                    failed += np.isnan(effect)
                    if abs(effect) > abs(best[0]):
                        before = "ACGT"[letters[position]] if letters[position] < 4 else "N"
                        output = name if numbers == 1 else f"{name}:{k}"
                        best = (effect, f"{before}{position}{'ACGT'[letter]}", output)
    return *best, failed


def test_the_table_says_what_a_loop_over_the_store_says(store: Path, tmp_path: Path) -> None:
    _, page = written(store, tmp_path / "r.html")
    head, *rows = page.rows
    assert head[0] == "sequence"
    assert len(rows) == SEQUENCES
    sizes = [float(r[3]) for r in rows]
    assert sizes == sorted(sizes, reverse=True)
    for cells in rows:
        effect, change, output, failed = by_hand(store, NAMES.index(cells[0]))
        assert cells[2] == f"{effect:.4g}"
        assert cells[4] == change
        assert cells[7] == output
        assert int(cells[8]) == failed
    assert {r[0]: r[1] for r in rows}["chr2:5-17"] == "chr2:5-17 (-)"


@pytest.mark.parametrize(
    ("strand", "letters", "start", "stop", "expected"),
    [
        ("+", "AG", 3, 4, "chr1:104 A>G"),
        ("-", "AG", 3, 4, "chr1:117 T>C"),
        ("-", "NG", 0, 1, ""),
        ("+", "UG", 0, 1, "chr1:101 T>G"),
        ("+", "", 3, 8, "chr1:104-108"),
        ("-", "", 3, 8, "chr1:113-117"),
    ],
)
def test_changes_are_placed_as_in_vcf(strand: str, letters: str, start: int, stop: int, expected: str) -> None:
    sequence = ScannedSequence(0, "s", "chr1", 100, 120, strand)
    summary = Summary(0, 1.0, Output("head"), start, stop, "a change", letters, 0)
    complement = dict(zip("ACGT", "TGCA", strict=True))
    assert on_genome(summary, sequence, complement) == expected
    assert not on_genome(summary, ScannedSequence(0, "s", "", 0, 20, "+"), complement)


def test_one_output_alone_and_memory_by_chunks(store: Path) -> None:
    scan = open_scan(store)
    alone = summarise(scan, [scan.output("head:2")])
    assert {str(s.output) for s in alone} == {"head:2"}
    scores = zarr.open_group(store, mode="r")["scores/head"][..., 2]
    assert abs(alone[0].effect) == np.nanmax(np.abs(scores))


def test_the_file_stands_alone(store: Path, tmp_path: Path) -> None:
    text, page = written(store, tmp_path / "r.html", top=2)
    sources = [v for _, a in page.tags for k, v in a.items() if k in ("src", "href", "xlink:href") and v]
    assert all(s.startswith(("#", "data:")) for s in sources), sources
    assert not re.search(r"@import|url\((?!#)", text)
    identities = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(identities) == len(set(identities)), "every id once"
    for reference in (s[1:] for s in sources if s.startswith("#")):
        assert reference in identities
    for reference in re.findall(r"url\(#([^)]+)\)", text):
        assert reference in identities


def test_pictures_of_the_strongest(store: Path, tmp_path: Path) -> None:
    text, page = written(store, tmp_path / "r.html", top=2)
    assert sum(tag == "section" for tag, _ in page.tags) == 2
    pictures = [a for tag, a in page.tags if tag == "svg"]
    assert len(pictures) == 4, "a logo and a heatmap each"
    assert all(a["aria-label"] for a in pictures)
    assert "#000000" not in text, "black would be lost on dark ground"
    assert text.count("prefers-color-scheme: dark") == 1
    _, bare = written(store, tmp_path / "r.html", top=0)
    assert not [tag for tag, _ in bare.tags if tag == "svg"]


def test_settings_are_escaped_and_shown(store: Path, tmp_path: Path) -> None:
    text, _ = written(store, tmp_path / "r.html", top=0)
    assert "tiny &amp; &lt;small&gt;" in text
    assert "<small>" not in text
    terms = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text)
    assert ("model.digest", "0123") in terms
    assert ("letters", "dna") in terms
    assert ("report by", f"fastism_compiler {fc.__version__}") in terms
    assert "5 effects could not be computed" in text


def test_long_sequences_get_an_overview(tmp_path: Path) -> None:
    path = tmp_path / "long.zarr"
    group = zarr.open_group(write_store(path), mode="a")
    rng = np.random.default_rng(0)
    letters = rng.integers(0, 4, (SEQUENCES, 300)).astype(np.uint8)
    scores = np.where(np.arange(4) == letters[..., None], 0, rng.normal(size=(SEQUENCES, 300, 4)) * 0.1)
    scores[:, 250, :] -= 5.0 * (np.arange(4) != letters[:, 250, None])
    for key, values in (
        ("sequence", letters),
        ("positions", np.arange(300, dtype=np.int32)),
        ("scores/scalar", scores[..., None].astype(np.float32)),
    ):
        del group[key]
        group[key] = values
    group.attrs["outputs"] = ["scalar"]
    text, page = written(path, tmp_path / "r.html", top=1)
    assert len([tag for tag, _ in page.tags if tag == "svg"]) == 3
    assert page.rows[1][6] == "250"
    assert "shaded: shown below" in text


def test_a_report_that_fails_leaves_the_old_one(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")

    def broken(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("fastism_compiler.report.figures", broken)
    with pytest.raises(MemoryError):
        write_report(store, target, overwrite=True)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".partial")] == []


def test_a_scan_of_ranges(tmp_path: Path) -> None:
    ranges = np.array([[8, 12], [0, 4], [3, 6]])
    path = write_store(tmp_path / "ranges.zarr", ranges=ranges)
    _, page = written(path, tmp_path / "r.html", output="head")
    assert len([tag for tag, _ in page.tags if tag == "svg"]) == SEQUENCES
    scores = zarr.open_group(path, mode="r")["scores/head"][:]
    for cells in page.rows[1:]:
        row = NAMES.index(cells[0])
        place = np.unravel_index(np.abs(scores[row]).argmax(), scores[row].shape)
        assert cells[4] == "{}-{}".format(*ranges[place[0]])
        assert cells[7] == f"head:{place[1]}"
        assert cells[2] == f"{scores[row][place]:.4g}"


def test_sequences_without_any_score_come_last(store: Path, tmp_path: Path) -> None:
    group = zarr.open_group(store, mode="a")
    for name in ("scalar", "head"):
        group[f"scores/{name}"][1] = np.nan
    _, page = written(store, tmp_path / "r.html")
    last = page.rows[-1]
    assert last[0] == "second"
    assert last[2] == last[4] == last[5] == last[6] == last[7] == ""
    assert int(last[8]) == 5 * (6 * 3 + 4), "every alternative; four at the unknown letter"
    assert sum(tag == "section" for tag, _ in page.tags) == 2


def test_the_command_and_its_refusals(store: Path, tmp_path: Path) -> None:
    def run(*arguments: object) -> Any:
        return CliRunner().invoke(main, ["report", *map(str, arguments)])

    assert run(store, tmp_path / "r.html", "--top", 1, "--output", "head:1").exit_code == 0
    assert Page((tmp_path / "r.html").read_text()).rows[1][7] == "head:1"
    for arguments, message in (
        ((store, tmp_path / "r.txt"), ".html"),
        ((store, tmp_path / "r2.html", "--output", "tail"), "no such output"),
        ((store, tmp_path / "r2.html", "--top", -1), "-1 is not in the range"),
        ((tmp_path / "nothing", tmp_path / "r2.html"), "does not exist"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2
        assert message in result.output
        assert "Traceback" not in result.output
    assert not (tmp_path / "r2.html").exists()


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_a_browser_shows_and_sorts_it_without_errors(store: Path, tmp_path: Path) -> None:
    text, page = written(store, tmp_path / "r.html", top=1)
    names = [r[0] for r in page.rows[1:]]
    assert names != sorted(names)
    watch = '<script>window.onerror = (m) => { document.title = "ERROR " + m; };</script>'
    click = "<script>document.querySelectorAll('thead button')[{}].click();</script>"
    for column, key in ((0, str), (2, float), (8, int)):
        changed = text.replace("<style>", watch + "<style>", 1).replace("</body>", click.format(column) + "</body>")
        (tmp_path / "clicked.html").write_text(changed, encoding="utf-8")
        command = [
            str(BROWSER),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
        ]
        command += ["--virtual-time-budget=2000", "--dump-dom", (tmp_path / "clicked.html").as_uri()]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        assert "<title>In-silico mutagenesis" in shown, "a script failed"
        assert 'aria-sort="ascending"' in shown
        cells = [key(r[column]) for r in Page(shown).rows[1:]]
        assert cells == sorted(cells)


def test_only_reports_as_we_wrote_them_are_replaced(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    command = ["report", str(store), str(path), "--top", "0"]
    for _ in range(2):
        assert CliRunner().invoke(main, command).exit_code == 0
    noted = path.read_text().replace("</h1>", "!</h1>")
    path.write_text(noted)
    refused = CliRunner().invoke(main, command)
    assert (refused.exit_code, "r.html" in refused.output, "--overwrite" in refused.output) == (2, True, True)
    assert path.read_text() == noted
    assert CliRunner().invoke(main, [*command, "--overwrite"]).exit_code == 0
