"""`score="splice"` against a plain loop over whole sequences, as SpliceAI 1.3.1 describes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import zarr
from click.testing import CliRunner
from fastism_compiler.ir.errors import OptionError

import fastism_compiler as fc
from fastism_compiler.cli import main
from fastism_compiler.errors import InputError
from fastism_compiler.formats import convert
from fastism_compiler.report import write_report
from tests.runs.models import COMPLEMENT, genome, one_hot, save, write_fasta

ALONE = fc.Execution(verify=False)
CONTEXT, D, LENGTH = 10, 6, 10 + 2 * 6 + 1 + 8
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
GENES = {"left": ("+", 20, 130, [(20, 60), (90, 130)]), "right": ("-", 100, 300, [(100, 140), (201, 300)])}
HEAD = "#NAME\tCHROM\tSTRAND\tTX_START\tTX_END\tEXON_START\tEXON_END\n"


def line_of(name: str) -> str:
    strand, start, end, exons = GENES[name]
    starts, ends = (",".join(str(exon[side]) for exon in exons) for side in (0, 1))
    return f"{name}\t1\t{strand}\t{start}\t{end}\t{starts},\t{ends},\n"


TABLE = HEAD + "".join(map(line_of, GENES))
EDITS = [
    (61, 1, "*"), (110, 1, "*"), (128, 1, "*"), (25, 3, "**"), (115, 1, "ACGTA"), (118, 5, "C"), (205, 2, "GATC"),
    (222, 4, "TC"), (240, 9, "G"), (291, 1, "*"),
]  # fmt: skip
"""Position, bases replaced, and by what; `*` is another letter than there was."""


def splice_model() -> keras.Model:
    """As SpliceAI is built: any length, the context cropped at the end, probabilities of three classes."""
    keras.utils.set_random_seed(8)
    inputs = keras.Input((None, 4))
    y = keras.layers.Conv1D(8, 5, padding="same", activation="relu")(inputs)
    y = keras.layers.Conv1D(8, 7, padding="same", activation="relu")(y)
    y = keras.layers.Cropping1D(CONTEXT // 2)(keras.layers.Rescaling(6.0)(keras.layers.Conv1D(3, 1)(y)))
    return keras.Model(inputs, keras.layers.Softmax(name="sites")(y))


def other(letter: str) -> str:
    return "ACGT"[("ACGT".index(letter) + 1) % 4]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("splice")
    text = genome(np.random.default_rng(6), {"chr1": 400})["chr1"]
    variants = []
    for at, width, new in EDITS:
        ref = text[at : at + width]
        alt = "".join(other(old) if c == "*" else c for c, old in zip(new, ref.ljust(len(new)), strict=False))
        variants.append((at, ref, alt))
    lines = [f"chr1\t{at + 1}\tv{i}\t{ref}\t{alt}\t.\t.\tDP=3\n" for i, (at, ref, alt) in enumerate(variants)]
    lines.append(f"chr1\t351\tintergenic\t{text[350]}\t{other(text[350])}\t.\t.\tDP=3\n")
    (folder / "in.vcf").write_text(HEADER + "".join(lines))
    (folder / "genes.txt").write_text(TABLE)
    model = splice_model()
    return {
        "folder": folder, "model": model, "path": save(model, folder), "text": text, "variants": variants,
        "fasta": write_fasta(folder / "g.fa", {"chr1": text}), "vcf": folder / "in.vcf",
        "genes": folder / "genes.txt",
    }  # fmt: skip


def by_hand(made: dict[str, Any], mask: bool) -> list[tuple[str, str, list[float]]]:
    """One entry per variant and gene: the alternate, the gene, and the eight numbers, from whole sequences."""
    found = []
    for at, ref, alt in made["variants"]:
        for name, (strand, start, end, exons) in GENES.items():
            if not start <= at < end:
                continue
            inside = "".join(c if start <= i < end else "N" for i, c in enumerate(made["text"]))
            half = (CONTEXT + 2 * D + 1) // 2
            left, right = "N" * 40 + inside[:at], inside[at:] + "N" * 40
            behind = half + 1 + len(ref)  # of a long deletion, SpliceAI's own window shows too little
            one, two = left[-half:] + right[:behind], left[-half:] + alt + right[len(ref) : behind]
            ys = []
            for sequence in (one, two):
                turned = sequence.translate(COMPLEMENT)[::-1] if strand == "-" else sequence
                y = made["model"].predict(one_hot(turned)[None], verbose=0)[0]
                ys.append((y[::-1] if strand == "-" else y)[:, 1:].tolist())
            before, after = ys
            if len(alt) < len(ref):
                gone = [[0.0, 0.0]] * (len(ref) - len(alt))
                after = after[: D + len(alt)] + gone + after[D + len(alt) :]
            elif len(alt) > len(ref):
                new = after[D + len(ref) - 1 : D + len(alt)]
                most = [max(p[site] for p in new) for site in (0, 1)]
                after = [*after[: D + len(ref) - 1], most, *after[D + len(alt) :]]
            assert len(before) == len(after) == 2 * D + 1 + len(ref)
            before, after = before[: 2 * D + 1], after[: 2 * D + 1]
            boundary = min(sorted(p - at for a, b in exons for p in (a, b - 1)), key=abs)
            scores, places = [], []
            for site in (0, 1):
                for sign in (1, -1):
                    change = [sign * (q[site] - p[site]) for p, q in zip(before, after, strict=True)]
                    place = max(range(len(change)), key=change.__getitem__) - D
                    hidden = mask and ((place == boundary) if sign > 0 else (place != boundary))
                    scores.append(0.0 if hidden else max(change))
                    places.append(float(place))
            found.append((alt, name, scores + places))
    return found


@pytest.mark.parametrize("mask", [False, True])
def test_against_a_loop(mask: bool, made: dict[str, Any], tmp_path: Path) -> None:
    settings = fc.VariantSettings(
        score="splice", genes=made["genes"], distance=D, mask=mask, length=LENGTH, batch_size=4
    )
    further = [("vcf", tmp_path / "annotated.vcf")]
    summary = fc.scan_variants(
        made["path"], made["fasta"], made["vcf"], tmp_path / "out", settings=settings, execution=ALONE, to=further
    )
    store, wanted = zarr.open_group(str(tmp_path / "out"), mode="r"), by_hand(made, mask)
    assert len(wanted) > len(EDITS) and {name for _, name, _ in wanted} == set(GENES)
    assert store["gene"][:].tolist() == [name for _, name, _ in wanted]
    ours = np.stack([store[f"scores/{name}"][:] for name in store.attrs["outputs"]], axis=1)
    np.testing.assert_allclose(ours, [numbers for *_, numbers in wanted], atol=2e-6)
    assert np.abs(ours[:, :4]).max() > 0.1
    assert not mask or (ours[:, :4] == 0).any()
    assert summary.counts["left out: the variant lies in no gene"] == 1
    assert "\tchr1:351\n" in (tmp_path / "out.left_out.tsv").read_text()
    entries = [
        f"{alt}|{name}|" + "|".join([f"{v:.2f}" for v in n[:4]] + [f"{v:.0f}" for v in n[4:]])
        for alt, name, n in wanted
    ]
    records = [x.split("\t")[7] for x in (tmp_path / "annotated.vcf").read_text().splitlines() if x[0] != "#"]
    assert len(records) == len(EDITS) + 1 and records[-1] == "DP=3"
    said = [info.split("FASTISM_SpliceAI=")[1].split(",") for info in records[:-1]]
    assert [entry for entries in said for entry in entries] == entries
    assert max(map(len, said)) == 2
    convert(tmp_path / "out", tmp_path / "own.vcf", "vcf")
    own = [x.split("\t") for x in (tmp_path / "own.vcf").read_text().splitlines() if x[0] != "#"]
    assert [x[7].split("SpliceAI=")[1].split(",") for x in own] == [said[i] for i in np.argsort([e[0] for e in EDITS])]
    convert(tmp_path / "out", tmp_path / "own.tsv", "tsv")
    first = (tmp_path / "own.tsv").read_text().splitlines()[0].split("\t")
    assert first == ["chrom", "pos", "id", "ref", "alt", "kind", "gene", "strand", *store.attrs["outputs"]]
    write_report(tmp_path / "out", tmp_path / "out.html")
    page = (tmp_path / "out.html").read_text()
    assert "DS_D" in page and "DP_" not in page


def test_command_and_another_table(made: dict[str, Any], tmp_path: Path) -> None:
    """The command goes on where it was, wherever the genes lie; with other genes it refuses."""
    command = [
        "variants", made["path"], str(made["fasta"]), str(made["vcf"]), str(tmp_path / "out"), "--score", "splice",
        "--distance", str(D), "--length", str(LENGTH), "--no-verify", "--genes",
    ]  # fmt: skip
    assert CliRunner().invoke(main, [*command, str(made["genes"])], catch_exceptions=False).exit_code == 0
    (tmp_path / "moved.txt").write_text(TABLE)
    again = CliRunner().invoke(main, [*command, str(tmp_path / "moved.txt")])
    assert again.exit_code == 0 and "0 of" in again.output
    (tmp_path / "moved.txt").write_text(TABLE.replace("\t130\t", "\t129\t").replace("130,", "129,"))
    refused = CliRunner().invoke(main, [*command, str(tmp_path / "moved.txt")])
    assert refused.exit_code == 2 and "another input" in refused.output


def run(made: dict[str, Any], folder: Path, vcf: Path | None = None, **settings: Any) -> fc.Summary:
    given = {"score": "splice", "genes": made["genes"], "distance": D, "length": LENGTH, **settings}
    return fc.scan_variants(
        made["path"], made["fasta"], vcf or made["vcf"], folder / "out", settings=fc.VariantSettings(**given),
        execution=ALONE,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"genes": None}, "go together"),
        ({"score": "delta"}, "go together"),
        ({"score": "delta", "genes": None}, "belong to score='splice'"),
        ({"rc": True}, "gene's strand"),
        ({"also": ("b.keras",), "combine": "scores"}, "is of the mean of models"),
        ({"reduce": "sum"}, "gene's strand"),
        ({"distance": 11}, "does not reach 11 bases"),
        ({"outputs": ("sites:*:0",)}, "takes one output"),
        ({"length": LENGTH + 1, "distance": 9999}, "does not reach"),
    ],
)
def test_settings_refused(settings: dict[str, Any], fault: str, made: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=fault):
        run(made, tmp_path, **settings)


def test_long_alleles_refused(made: dict[str, Any], tmp_path: Path) -> None:
    text = made["text"]
    lines = [
        f"chr1\t151\t.\t{text[150]}\t{text[150]}ACGTACGTA\t.\t.\t.\n",
        f"chr1\t151\t.\t{text[150:165]}\tA\t.\t.\t.\n",
    ]
    for line, fault in zip(lines, ("an insertion is longer than the 4 positions", "twice the distance"), strict=True):
        (tmp_path / "long.vcf").write_text(HEADER + line)
        with pytest.raises(InputError, match=fault):
            run(made, tmp_path, tmp_path / "long.vcf")


def test_a_long_substitution_where_the_output_is_short(made: dict[str, Any], tmp_path: Path) -> None:
    """Its last base lies further than any site that is looked for."""
    text = made["text"]
    ref = text[150:162]
    (tmp_path / "long.vcf").write_text(f"{HEADER}chr1\t151\t.\t{ref}\t{''.join(map(other, ref))}\t.\t.\t.\n")
    run(made, tmp_path, tmp_path / "long.vcf", length=CONTEXT + 2 * D + 1)
    few = zarr.open_group(str(tmp_path / "out"), mode="r")
    (tmp_path / "more").mkdir()
    run(made, tmp_path / "more", tmp_path / "long.vcf")
    more = zarr.open_group(str(tmp_path / "more" / "out"), mode="r")
    for name in few.attrs["outputs"]:
        np.testing.assert_allclose(few[f"scores/{name}"][:], more[f"scores/{name}"][:], atol=1e-6)


def test_transcripts_of_one_name_and_other_chromosomes(made: dict[str, Any], tmp_path: Path) -> None:
    """Two transcripts of a gene are two entries of one allele; a chromosome without genes is told apart."""
    twice = TABLE.replace("right\t", "left\t").replace("\t1\t", "\tchr1\t")
    (tmp_path / "genes.txt").write_text(twice + line_of("left").replace("\t1\t", "\tchr1\t"))
    (tmp_path / "g.fa").write_text("".join(f">{name}\n{made['text']}\n" for name in ("chr1", "chr2")))
    lines = made["vcf"].read_text().replace("\tintergenic", "\t.").splitlines()[2:]
    both = [line.replace("chr1\t", f"{name}\t") for name in ("one", "chr2") for line in lines]
    (tmp_path / "in.vcf").write_text(HEADER + "\n".join(both) + "\n")
    (tmp_path / "aliases.txt").write_text("one chr1\n")
    settings = fc.VariantSettings(
        score="splice", genes=tmp_path / "genes.txt", distance=D, length=LENGTH, aliases=str(tmp_path / "aliases.txt")
    )
    output, further = tmp_path / "out", [("vcf", tmp_path / "out.vcf")]
    summary = fc.scan_variants(
        made["path"], tmp_path / "g.fa", tmp_path / "in.vcf", output, settings=settings, execution=ALONE, to=further
    )
    assert summary.counts["variants"] == len(EDITS)
    assert summary.counts["left out: the file of genes has no gene on the chromosome"] == len(EDITS) + 1
    records = [x.split("\t") for x in (tmp_path / "out.vcf").read_text().splitlines() if x[0] != "#"]
    entries = [x[7].split("SpliceAI=")[1].split(",") for x in records if "SpliceAI" in x[7]]
    assert len(entries) == len(EDITS)
    assert {len(e) for e in entries} == {1, 2, 3}
    convert(output, tmp_path / "own.vcf", "vcf")
    own = [x for x in (tmp_path / "own.vcf").read_text().splitlines() if x[0] != "#"]
    assert len(own) == len(EDITS)
    write_report(output, tmp_path / "out.html")
    assert "v0 left" in (tmp_path / "out.html").read_text()
    manifest = json.loads((tmp_path / "out.manifest.json").read_text())
    assert len(manifest["sources"]["genes sha256"]) == 64


def test_acceptor_and_donor_alone(made: dict[str, Any], tmp_path: Path) -> None:
    """An output of the two sites gives what one of three classes gives."""
    run(made, tmp_path)
    both = [zarr.open_group(str(tmp_path / "out"), mode="r")["scores/DS_AG"][:]]
    (tmp_path / "two").mkdir()
    run(made, tmp_path / "two", outputs=("sites:*:1,2",))
    both.append(zarr.open_group(str(tmp_path / "two" / "out"), mode="r")["scores/DS_AG"][:])
    np.testing.assert_allclose(*both, atol=1e-6)
