"""Variants from files, end to end, against `model.predict` on whole sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import zarr

import fastism_compiler as fc
from tests.runs.models import LENGTH, close, genome, predict, reverse, save, small_model, write_fasta

ALONE = fc.Execution(verify=False)
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return small_model()


@pytest.fixture(scope="module")
def path(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(model, tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def sequences() -> dict[str, str]:
    return genome(np.random.default_rng(1), {"chr1": 120_000, "chr2": 80_000})


@pytest.fixture(scope="module")
def genome_path(sequences: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fasta(tmp_path_factory.mktemp("genome") / "genome.fa", sequences)


def draw(sequences: dict[str, str], count: int) -> list[tuple[str, int, str, str]]:
    """Substitutions of one to five letters, insertions and deletions, in no order."""
    rng, drawn = np.random.default_rng(4), []
    while len(drawn) < count:
        chrom = str(rng.choice(list(sequences)))
        position = int(rng.integers(100, len(sequences[chrom]) - 200))
        width = int(rng.choice([1, 1, 1, 2, 5, 40]))
        ref = sequences[chrom][position : position + width]
        longer = width if rng.random() < 0.7 and width < 40 else int(rng.integers(1, 20))
        alt = "".join(rng.choice(list("ACGT"), longer))
        if alt != ref:
            drawn.append((chrom, position, ref, alt))
    return drawn


def windows(sequences: dict[str, str], variant: tuple[str, int, str, str]) -> tuple[str, str]:
    chrom, position, ref, alt = variant
    text, start = sequences[chrom], position - LENGTH // 2
    return text[start : start + LENGTH], (text[start:position] + alt + text[position + len(ref) :][:100])[:LENGTH]


def expected(model: keras.Model, pairs: list[tuple[str, str]]) -> list[Any]:
    references, alternates = ([p[side] for p in pairs] for side in (0, 1))
    return [y - z for y, z in zip(predict(model, alternates), predict(model, references), strict=True)]


@pytest.mark.traced
@pytest.mark.parametrize("rc", [False, True])
def test_200_variants(
    rc: bool, path: str, model: keras.Model, sequences: dict[str, str], genome_path: Path, tmp_path: Path
) -> None:
    variants = draw(sequences, 200)
    vcf = tmp_path / "in.vcf"
    lines = [f"{c}\t{p + 1}\tv{i}\t{r}\t{a}\t.\t.\t." for i, (c, p, r, a) in enumerate(variants)]
    vcf.write_text(HEADER + "\n".join(lines) + "\n")
    settings = fc.VariantSettings(rc=rc, batch_size=8)
    summary = fc.scan_variants(path, genome_path, vcf, tmp_path / "out", settings=settings, execution=ALONE)
    store = zarr.open_group(str(tmp_path / "out"), mode="r")
    pairs = [windows(sequences, v) for v in variants]
    naive = expected(model, pairs)
    if rc:
        other = expected(model, [(reverse(a), reverse(b)) for a, b in pairs])
        naive = [(y + z) / 2 for y, z in zip(naive, other, strict=True)]
    for k, name in enumerate(("head", "chance")):
        close(store[f"scores/{name}"][:], naive[k])
    kinds = [
        "substitutions" if len(r) == len(a) else "insertions" if len(a) > len(r) else "deletions"
        for *_, r, a in variants
    ]
    assert {k: summary.counts[k] for k in set(kinds)} == {k: kinds.count(k) for k in set(kinds)}
    assert min(kinds.count(k) for k in ("substitutions", "insertions", "deletions")) > 10
    assert store["position"][:].tolist() == [p for _, p, _, _ in variants]
    assert store["id"][:].tolist() == [f"v{i}" for i in range(200)]


def test_all_ways_to_write_variants_agree(
    path: str, sequences: dict[str, str], genome_path: Path, tmp_path: Path
) -> None:
    """VCF, gzipped VCF, alternates on one line, TSV with and without a header, BCF."""
    import gzip

    import cyvcf2

    chrom, position = "chr1", 500
    ref = sequences[chrom][position]
    alternates = [c for c in "ACGT" if c != ref]
    contig = HEADER.replace("#CHROM", f"##contig=<ID=chr1,length={len(sequences['chr1'])}>\n#CHROM")
    split = contig + "".join(f"{chrom}\t{position + 1}\t.\t{ref}\t{a}\t.\t.\t.\n" for a in alternates)
    merged = contig + f"{chrom}\t{position + 1}\t.\t{ref}\t{','.join(alternates).lower()}\t.\t.\t.\n"
    (tmp_path / "split.vcf").write_text(split)
    (tmp_path / "merged.vcf").write_text(merged.replace("\n", "\r\n"))
    (tmp_path / "split.vcf.gz").write_bytes(gzip.compress(split.encode()))
    rows = [f"{chrom}\t{position + 1}\t{ref}\t{a}" for a in alternates]
    (tmp_path / "plain.tsv").write_text("\n".join(rows) + "\n")
    swapped = ["alt\tid\tREF\tpos\tchrom", *(f"{a}\tx\t{ref}\t{position + 1}\t{chrom}" for a in alternates)]
    (tmp_path / "named.txt").write_text("\n".join(swapped) + "\n")
    reader = cyvcf2.VCF(str(tmp_path / "split.vcf"))
    writer = cyvcf2.Writer(str(tmp_path / "split.bcf"), reader, mode="wb")
    for record in reader:
        writer.write_record(record)
    writer.close()
    found = []
    for name in ("split.vcf", "merged.vcf", "split.vcf.gz", "plain.tsv", "named.txt", "split.bcf"):
        fc.scan_variants(path, genome_path, tmp_path / name, tmp_path / f"{name}.zarr", execution=ALONE)
        store = zarr.open_group(str(tmp_path / f"{name}.zarr"), mode="r")
        assert store["alt"][:].tolist() == alternates
        found.append(store["scores/head"][:])
    for scores in found[1:]:
        np.testing.assert_array_equal(scores, found[0])


@pytest.mark.parametrize("score", ["delta", "log2fc", "value"])
def test_scores_and_reductions(
    score: str, path: str, model: keras.Model, sequences: dict[str, str], genome_path: Path, tmp_path: Path
) -> None:
    variants = draw(sequences, 12)
    tsv = tmp_path / "in.tsv"
    tsv.write_text("\n".join(f"{c}\t{p + 1}\t{r}\t{a}" for c, p, r, a in variants) + "\n")
    settings = fc.VariantSettings(score=score, outputs=("chance",), reduce="mean", pseudocount=0)
    fc.scan_variants(path, genome_path, tsv, tmp_path / "out", settings=settings, execution=ALONE)
    store = zarr.open_group(str(tmp_path / "out"), mode="r")
    pairs = [windows(sequences, v) for v in variants]
    ref, alt = (predict(model, [p[side] for p in pairs])[1][:, 0] for side in (0, 1))
    naive = {"delta": alt - ref, "value": alt, "log2fc": np.log2(alt / ref)}[score]
    close(store["scores/chance"][:], naive)
    close(store["reference/chance"][:], ref)


def test_variants_that_do_not_fit_are_left_out_and_counted(
    path: str, sequences: dict[str, str], genome_path: Path, tmp_path: Path
) -> None:
    text = sequences["chr2"]
    wrong = next(c for c in "ACGT" if c != text[999])
    rows = [
        f"chr2\t1000\t{wrong}\tG",
        "chr2\t1000\tA\t<DEL>",
        f"chr2\t3\t{text[2]}\t{text[2]}A",
        f"chr2\t1000\t{text[999]}\t{wrong}",
    ]
    (tmp_path / "in.tsv").write_text("\n".join(rows) + "\n")
    summary = fc.scan_variants(
        path,
        genome_path,
        tmp_path / "in.tsv",
        tmp_path / "out",
        settings=fc.VariantSettings(skip=True),
        execution=ALONE,
    )
    assert summary.counts["variants"] == 1
    left_out = {name: n for name, n in summary.counts.items() if name.startswith("left out")}
    assert sorted(left_out.values()) == [1, 1, 1]
    assert any("in.tsv:1: the reference allele is not what the genome says" in m for m in summary.messages)
    padded = fc.VariantSettings(skip=True, pad=True)
    summary = fc.scan_variants(
        path, genome_path, tmp_path / "in.tsv", tmp_path / "pad", settings=padded, execution=ALONE
    )
    assert summary.counts["variants"] == 2
