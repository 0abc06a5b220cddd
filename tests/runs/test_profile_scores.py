"""`score="profile"` against a plain loop over predictions of whole sequences, as variant-scorer describes it."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import zarr

import fastism_compiler as fc
from fastism_compiler.formats import convert
from fastism_compiler.formats.quantiles import peak_counts
from fastism_compiler.report import write_report
from fastism_compiler.runs.profile_scores import COLUMNS, RANKED_BY, ProfileScores
from tests.runs.models import COMPLEMENT, LENGTH, genome, predict, save, write_fasta

ALONE = fc.Execution(verify=False)
P = 40
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
EDITS = [("A", "C"), ("T", "G"), ("AC", "TT"), ("A", "ACGT"), ("ACGTA", "A"), ("T", "TTTTTTTT"), ("ACGTACGT", "ACG")]
START = 100


def profile_model(tracks: int = 1) -> keras.Model:
    """Counts first, so that the outputs are told apart by their shapes."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input((LENGTH, 4))
    y = keras.layers.Conv1D(6, 7, activation="relu", padding="same")(inputs)
    counts = keras.layers.Dense(1, name="counts")(keras.layers.GlobalAveragePooling1D()(y))
    profile = keras.layers.Cropping1D((LENGTH - P) // 2)(keras.layers.Conv1D(tracks, 5, padding="same")(y))
    return keras.Model(inputs, [counts, keras.layers.Rescaling(4.0, name="profile")(profile)])


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return profile_model()


@pytest.fixture(scope="module")
def files(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path, list[Any]]:
    """The model, a genome and a VCF with an edit every 90 bases; and both alleles' windows."""
    folder = tmp_path_factory.mktemp("profile")
    text = genome(np.random.default_rng(2), {"chr1": 1000})["chr1"]
    lines, windows = [], []
    for i, (ref, alt) in enumerate(EDITS):
        at = START + 90 * i
        text = text[:at] + ref + text[at + len(ref) :]
        lines.append(f"chr1\t{at + 1}\tv{i}\t{ref}\t{alt}\t.\t.\t.\n")
    for i, (ref, alt) in enumerate(EDITS):
        at = START + 90 * i
        begin = at - LENGTH // 2
        changed = text[begin:at] + alt + text[at + len(ref) :]
        windows.append((text[begin : begin + LENGTH], changed[:LENGTH], ref, alt))
    (folder / "in.vcf").write_text(HEADER + "".join(lines))
    return save(model, folder), write_fasta(folder / "g.fa", {"chr1": text}), folder / "in.vcf", windows


def distance(p: list[float], q: list[float]) -> float:
    """Jensen-Shannon, one base after the other."""
    p, q = [a / math.fsum(p) for a in p], [b / math.fsum(q) for b in q]
    halves = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    parts = [a * math.log2(a / m) + b * math.log2(b / m) for a, b, m in zip(p, q, halves, strict=True)]
    return math.sqrt(max(math.fsum(parts) / 2, 0))


def by_hand(model: keras.Model, windows: list[Any], rc: bool) -> dict[str, list[float]]:
    rows: dict[str, list[float]] = {name: [] for name in COLUMNS}
    for reference, alternate, ref, alt in windows:
        counts, profiles = [], []
        for text in (reference, alternate):
            found = [predict(model, [t]) for t in ([text, text.translate(COMPLEMENT)[::-1]] if rc else [text])]
            counts.append(float(np.mean([np.exp(float(y[0][0, 0])) for y in found])))
            logits = [y[1][0, :, 0].astype(np.float64) for y in found]
            averaged = np.mean([logits[0], *(y[::-1] for y in logits[1:])], axis=0)
            profiles.append([math.exp(v) for v in averaged])
        p, q = profiles
        original = distance(p, q)
        middle, gone = P // 2, abs(len(ref) - len(alt))
        kept = middle + min(len(ref), len(alt))
        if len(ref) > len(alt):
            p, q = p[:kept] + p[kept + gone :], q[: P - gone]
        elif gone:
            p, q = p[: P - gone], q[:kept] + q[kept + gone :]
        jsd, logfc = distance(p, q), math.log2(counts[1] / counts[0])
        values = [*counts, logfc, abs(logfc), jsd, original, logfc * jsd, abs(logfc) * jsd]
        for name, value in zip(COLUMNS, values, strict=True):
            rows[name].append(value)
    return rows


@pytest.mark.parametrize("rc", [False, True])
def test_every_column(rc: bool, model: keras.Model, files: Any, tmp_path: Path) -> None:
    path, genome_path, vcf, windows = files
    settings = fc.VariantSettings(score="profile", rc=rc, batch_size=4)
    fc.scan_variants(path, genome_path, vcf, tmp_path / "out", settings=settings, execution=ALONE)
    store = zarr.open_group(str(tmp_path / "out"), mode="r")
    wanted = by_hand(model, windows, rc)
    for name in COLUMNS:
        np.testing.assert_allclose(store[f"scores/{name}"][:], wanted[name], rtol=2e-4, atol=2e-5, err_msg=name)
    assert np.all(store["scores/jsd"][:][:3] == store["scores/original_jsd"][:][:3])
    assert np.all(store["scores/jsd"][:][3:] != store["scores/original_jsd"][:][3:])
    opened = fc.open_scan(tmp_path / "out")
    assert set(opened.data_vars) >= {f"scores_{name}" for name in COLUMNS}
    convert(tmp_path / "out", tmp_path / "out.tsv", "tsv")
    header, first, *_ = (tmp_path / "out.tsv").read_text().splitlines()
    assert header.split("\t")[6:] == list(COLUMNS)
    assert float(first.split("\t")[8]) == store["scores/logfc"][0]
    convert(tmp_path / "out", tmp_path / "out.vcf", "vcf")
    assert 'ID=FASTISM_logfc,Number=1,Type=Float,Description="log2 of' in (tmp_path / "out.vcf").read_text()
    assert "REF_" not in (tmp_path / "out.vcf").read_text()
    write_report(tmp_path / "out", tmp_path / "out.html")
    page = (tmp_path / "out.html").read_text()
    assert RANKED_BY[0] in page and "abs_logfc" not in page


def test_scores_of_folds_are_averaged(model: keras.Model, files: Any, tmp_path: Path) -> None:
    """Not outputs: as variant-scorer summarises its tables of folds."""
    path, genome_path, vcf, windows = files
    second = profile_model()
    second.set_weights([1.5 * w for w in second.get_weights()])
    also = save(second, tmp_path)
    settings = fc.VariantSettings(score="profile", batch_size=4, also=(also,), combine="scores")
    fc.scan_variants(path, genome_path, vcf, tmp_path / "out", settings=settings, execution=ALONE)
    store = zarr.open_group(str(tmp_path / "out"), mode="r")
    tables = [by_hand(m, windows, False) for m in (model, second)]
    for name in COLUMNS:
        wanted = np.mean([table[name] for table in tables], axis=0)
        np.testing.assert_allclose(store[f"scores/{name}"][:], wanted, rtol=2e-4, atol=2e-5, err_msg=name)
    one = replace(settings, score="log2fc", outputs=("counts:0",), pseudocount=9.0)
    fc.scan_variants(path, genome_path, vcf, tmp_path / "one", settings=one, execution=ALONE)
    store = zarr.open_group(str(tmp_path / "one"), mode="r")
    references, scores = [], []
    for m in (model, second):
        y1, y2 = (predict(m, [w[side] for w in windows])[0][:, 0].astype(np.float64) for side in (0, 1))
        references.append(y1)
        scores.append(np.log2((y2 + 9) / (y1 + 9)))
    np.testing.assert_allclose(store["scores/counts"][:], np.mean(scores, axis=0), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(store["reference/counts"][:], np.mean(references, axis=0), rtol=1e-5)
    with pytest.raises(fc.OptionError, match="a scan combines outputs"):
        fc.ScanSettings(also=(also,), combine="scores").check()


@pytest.mark.parametrize("longer", [2, 5, 6, 7, 11, 12, 40])
def test_an_allele_that_is_longer_than_the_profile_behind_it(longer: int) -> None:
    """What is compared are the bases in front of the variant, its first one, and those behind it that are left."""
    scores, at = ProfileScores.of({"p": (12,), "c": (1,)}, None, 20), 6
    logits = np.random.default_rng(0).normal(size=(2, 12))
    alternate, reference = ([y[None], np.zeros((1, 1))] for y in logits)
    gone = min(longer - 1, 12 - at - 1)
    p, q = (np.exp(y) for y in (logits[1], logits[0]))
    wanted = distance([*p[: at + 1], *p[at + 1 + gone :]], [*q[: 12 - gone]])
    for ref, alt, strands in (
        ("A" * longer, "A", [(alternate, reference)]),
        ("A", "A" * longer, [(reference, alternate)]),
    ):
        table = dict(zip(COLUMNS, scores(strands, {"offset": [10], "ref": [ref], "alt": [alt]}), strict=True))
        assert table["jsd"][0] == pytest.approx(wanted, rel=1e-5)
        assert table["logfc"][0] == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("log_counts", [100.0, 1e4])
def test_counts_that_overflow_are_no_numbers(log_counts: float) -> None:
    scores = ProfileScores.of({"c": (1,), "p": (4, 1)}, None, 10)
    low, high = ([np.array([[c]]), np.zeros((1, 4, 1))] for c in (0.0, log_counts))
    table = dict(zip(COLUMNS, scores([(high, low)], {"offset": [5], "ref": ["A"], "alt": ["C"]}), strict=True))
    assert np.isnan(table["allele2_pred_counts"][0]) and table["jsd"][0] == 0
    assert np.isnan(table["logfc"][0]) == (log_counts > 1000)


@pytest.mark.parametrize(
    "shapes", [{"a": (1,), "b": (1,)}, {"a": (40, 2), "b": (1,)}, {"a": (40,)}, {"a": (70,), "b": (1,)}]
)
def test_other_outputs_are_refused(shapes: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(fc.OptionError, match=r"score='profile' takes two outputs(.|\n)*profile:\*:0"):
        ProfileScores.of(shapes, None, LENGTH)


def test_what_does_not_go_together_is_refused(files: Any, tmp_path: Path) -> None:
    path, genome_path, vcf, _ = files
    settings = fc.VariantSettings(score="profile", reduce="sum")
    with pytest.raises(fc.OptionError, match="without reduce="):
        fc.scan_variants(path, genome_path, vcf, tmp_path / "out", settings=settings, execution=ALONE)
    folds = fc.VariantSettings(score="profile", also=(path,), combine="logits")
    with pytest.raises(fc.OptionError, match="is of the mean of models"):
        fc.scan_variants(path, genome_path, vcf, tmp_path / "out", settings=folds, execution=ALONE)
    with pytest.raises(fc.OptionError, match="no such score"):
        fc.ScanSettings(score="profile").check()


def test_quantiles_among_peaks(model: keras.Model, files: Any, tmp_path: Path) -> None:
    path, genome_path, vcf, _ = files
    settings = fc.VariantSettings(score="profile", batch_size=4)
    fc.scan_variants(path, genome_path, vcf, tmp_path / "out", settings=settings, execution=ALONE)
    texts = genome(np.random.default_rng(7), {f"p{i}": LENGTH for i in range(9)})
    scan = fc.ScanSettings(outputs=("counts",), window=1, batch_size=4)
    fc.scan(path, write_fasta(tmp_path / "p.fa", texts), tmp_path / "peaks", settings=scan, execution=ALONE)
    peaks = np.exp(predict(model, list(texts.values()))[0][:, 0].astype(np.float64))
    fc.convert(tmp_path / "out", tmp_path / "out.tsv", "tsv", peaks=tmp_path / "peaks")
    table = "chr\tpeak_score\n" + "".join(f"chr1\t{count!r}\n" for count in peaks.tolist())
    (tmp_path / "peak_scores.tsv").write_text(table)
    fc.convert(tmp_path / "out", tmp_path / "same.tsv", "tsv", peaks=tmp_path / "peak_scores.tsv")
    assert (tmp_path / "out.tsv").read_bytes() == (tmp_path / "same.tsv").read_bytes()
    said = [json.loads((tmp_path / f"{name}.tsv.manifest.json").read_text())["peaks"] for name in ("out", "same")]
    assert [s["name"] for s in said] == ["peaks", "peak_scores.tsv"]
    assert [s["peaks"] for s in said] == [9, 9]
    assert said[1]["sha256"] == hashlib.sha256(np.sort(peaks).tobytes()).hexdigest()
    with pytest.raises(fc.OptionError, match="scanned with another model"):
        peak_counts(tmp_path / "peaks", {"sha256": "of another fold"})
    names, *lines = [line.split("\t") for line in (tmp_path / "out.tsv").read_text().splitlines()]
    assert len(lines) == len(EDITS)
    for line in lines:
        row = dict(zip(names, line, strict=True))
        q1, q2 = (max(float(np.mean(peaks < float(row[f"allele{i}_pred_counts"]))), 1 / 9) for i in (1, 2))
        expected = {"allele1_quantile": q1, "allele2_quantile": q2, "active_allele_quantile": max(q1, q2)}
        expected |= {"quantile_change": q2 - q1, "abs_quantile_change": abs(q2 - q1)}
        for name in ("logfc", "abs_logfc", "jsd", "logfc_x_jsd", "abs_logfc_x_jsd"):
            expected[f"{name}_x_active_allele_quantile"] = float(row[name]) * max(q1, q2)
        assert list(expected) == names[-len(expected) :]
        assert {name: float(row[name]) for name in expected} == pytest.approx(expected, rel=1e-5, abs=1e-6)
    for other, options, rule in (
        ("out", {"to": "vcf"}, "adds columns to a table"),
        ("peaks", {"to": "tsv"}, "score='profile'"),
        ("out", {"to": "tsv", "track": "jsd"}, "no track"),
    ):
        with pytest.raises(fc.OptionError, match=rule):
            fc.convert(tmp_path / other, tmp_path / "no", **options, peaks=tmp_path / "peaks")
    with pytest.raises(fc.OptionError, match="a scan of the peaks"):
        fc.convert(tmp_path / "out", tmp_path / "no", "tsv", peaks=tmp_path / "out")
    tables = {"a\tb\n": "a column peak_score", "peak_score\nx\n": "is a number", "peak_score\n": "0 peaks"}
    for text, rule in tables.items():
        (tmp_path / "bad.tsv").write_text(text)
        with pytest.raises(fc.FastISMError, match=rule):
            fc.convert(tmp_path / "out", tmp_path / "no", "tsv", peaks=tmp_path / "bad.tsv")
    assert not (tmp_path / "no").exists()
