"""Every output format, read back by the library that its users use."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import cyvcf2
import h5py
import keras
import numpy as np
import pyBigWig
import pytest
import xarray
import zarr
from click.testing import CliRunner

import fastism_compiler as fc
from fastism_compiler.cli import main
from fastism_compiler.plot.scan import open_scan
from fastism_compiler.runs.store import Store
from tests.runs.models import LENGTH, genome, predict, reverse, saturate, save, small_model, write_fasta

WINDOW = 12
BEGIN = (LENGTH - WINDOW) // 2
REGIONS = [("chr1", 500, "+"), ("chr1", 506, "-"), ("chr2", 300, "-"), ("chr1", 700, "+"), ("chr1", 100, "+")]


class Data:
    """One scan, one list of variants, and what a plain loop says about them."""

    def __init__(self, folder: Path) -> None:
        self.model = small_model()
        self.genome = genome(np.random.default_rng(7), {"chr1": 1000, "chr2": 600})
        path, fasta = save(self.model, folder), write_fasta(folder / "genome.fa", self.genome)
        bed = "".join(f"{c}\t{at}\t{at + 1}\tr{i}\t0\t{s}\n" for i, (c, at, s) in enumerate(REGIONS))
        (folder / "in.bed").write_text(bed)
        variants = [("chr2", 299), ("chr1", 299), ("chr1", 99)]
        self.variants = [
            (c, p, self.genome[c][p], "ACGT"[("ACGT".index(self.genome[c][p]) + 1) % 4]) for c, p in variants
        ]
        self.variants.append(("chr1", 400, self.genome["chr1"][400:402], self.genome["chr1"][400]))
        lines = [f"{c}\t{p + 1}\t{r}\t{a}" for c, p, r, a in self.variants]
        (folder / "in.tsv").write_text("\n".join(lines) + "\n")
        alone = fc.Execution(verify=False)
        self.scan, self.effects, self.folder = folder / "scan.zarr", folder / "variants.zarr", folder
        settings = fc.ScanSettings(window=WINDOW, batch_size=2)
        fc.scan(path, folder / "in.bed", self.scan, genome=fasta, settings=settings, execution=alone)
        fc.scan_variants(path, fasta, folder / "in.tsv", self.effects, execution=alone)
        begins = [at - LENGTH // 2 for _, at, _ in REGIONS]
        plus = [self.genome[c][b : b + LENGTH] for b, (c, _, _) in zip(begins, REGIONS, strict=True)]
        self.windows = [t if s == "+" else reverse(t) for t, (_, _, s) in zip(plus, REGIONS, strict=True)]
        positions = list(range(BEGIN, BEGIN + WINDOW))
        reference = predict(self.model, self.windows)[0][:, None, None]
        self.delta = saturate(self.model, self.windows, positions)[0] - reference
        self.letters = np.array([["ACGT".index(t[p]) for p in positions] for t in self.windows])
        self.one_hot = np.eye(4, dtype=bool)[self.letters]
        # plus-strand place of the first scanned position, and of each
        steps = np.arange(BEGIN, BEGIN + WINDOW)
        self.at = [
            b + (steps if s == "+" else LENGTH - 1 - steps) for b, (_, _, s) in zip(begins, REGIONS, strict=True)
        ]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return Data(tmp_path_factory.mktemp("data"))


def near(ours: Any, naive: Any, tolerance: float = 2e-6) -> None:
    np.testing.assert_allclose(np.asarray(ours, np.float64), naive, atol=tolerance, rtol=0)


def test_hdf5_as_basenji_writes_it(data: Data, tmp_path: Path) -> None:
    fc.convert(data.scan, tmp_path / "x.h5", "hdf5", "head:1")
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["seqs"].dtype == bool
        assert file["scores"].dtype == np.float16
        assert file["scores"].shape == (5, WINDOW, 4, 1)
        np.testing.assert_array_equal(file["seqs"][:], data.one_hot)
        near(file["scores"][..., 0], data.delta[..., 1], 1e-3 * np.abs(data.delta).max())
        assert [c.decode() for c in file["chr"][:]] == [c for c, _, _ in REGIONS]
        assert [s.decode() for s in file["strand"][:]] == [s for _, _, s in REGIONS]
        assert file["start"][:].tolist() == [at.min() for at in data.at]
        assert file["end"][:].tolist() == [at.max() + 1 for at in data.at]
    fc.convert(data.scan, tmp_path / "all.h5", "hdf5")
    with h5py.File(tmp_path / "all.h5") as file:
        assert file["head"].shape == (5, WINDOW, 4, 3)
        near(file["head"][:], data.delta, 1e-3 * np.abs(data.delta).max())
        assert file["chance"].shape == (5, WINDOW, 4, 1)


def test_modisco(data: Data, tmp_path: Path) -> None:
    fc.convert(data.scan, tmp_path / "x", "modisco", "head:2")
    one_hot, contributions = (np.load(tmp_path / "x" / f"{name}.npz")["arr_0"] for name in ("ohe", "shap"))
    np.testing.assert_array_equal(one_hot, data.one_hot.swapaxes(1, 2))
    centred = data.delta[..., 2] - data.delta[..., 2].mean(-1, keepdims=True)
    near(contributions, centred.swapaxes(1, 2))
    assert contributions.shape == (5, 4, WINDOW)


def importance(data: Data) -> dict[str, dict[int, float]]:
    """Minus the mean effect of the three other letters; where regions overlap, the mean."""
    found: dict[str, dict[int, list[float]]] = {"chr1": {}, "chr2": {}}
    values = -data.delta[..., 0].sum(-1) / 3
    for (chrom, _, _), at, row in zip(REGIONS, data.at, values, strict=True):
        for place, value in zip(at, row, strict=True):
            found[chrom].setdefault(int(place), []).append(float(value))
    return {c: {p: float(np.mean(v)) for p, v in places.items()} for c, places in found.items()}


def test_bigwig_and_bedgraph(data: Data, tmp_path: Path) -> None:
    expected = importance(data)
    assert len(expected["chr1"]) < 4 * WINDOW, "two regions overlap"
    fc.convert(data.scan, tmp_path / "x.bw", "bigwig", "head:0")
    file = pyBigWig.open(str(tmp_path / "x.bw"))
    assert file.chroms() == {"chr1": 1000, "chr2": 600}
    for chrom, places in expected.items():
        values = np.array(file.values(chrom, 0, len(data.genome[chrom])))
        assert np.flatnonzero(~np.isnan(values)).tolist() == sorted(places)
        near(values[sorted(places)], [places[p] for p in sorted(places)])
    file.close()
    fc.convert(data.scan, tmp_path / "x.bedgraph", "bedgraph", "head:0")
    lines = [line.split("\t") for line in (tmp_path / "x.bedgraph").read_text().splitlines()]
    assert [(c, int(s)) for c, s, _, _ in lines] == [(c, p) for c in sorted(expected) for p in sorted(expected[c])]
    near([float(v) for *_, v in lines], [expected[c][p] for c in sorted(expected) for p in sorted(expected[c])])


def test_tsv_lies_on_the_plus_strand(data: Data, tmp_path: Path) -> None:
    fc.convert(data.scan, tmp_path / "x.tsv", "tsv")
    header, *lines = [line.split("\t") for line in (tmp_path / "x.tsv").read_text().splitlines()]
    assert header == ["name", "chrom", "pos", "strand", "ref", "alt", "head[0]", "head[1]", "head[2]", "chance[0]"]
    assert len(lines) == 5 * WINDOW * 3
    seen = set()
    for name, chrom, pos, strand, ref, alt, *scores in lines:
        region, place = int(name[1:]), int(pos) - 1
        assert data.genome[chrom][place] == ref
        position = data.at[region].tolist().index(place)
        letter = "ACGT".index(alt if strand == "+" else reverse(alt))
        near([float(s) for s in scores[:3]], data.delta[region, position, letter])
        seen.add((region, position, letter))
    assert len(seen) == len(lines)
    fc.convert(data.effects, tmp_path / "v.tsv", "tsv", "chance:0")
    header, *lines = [line.split("\t") for line in (tmp_path / "v.tsv").read_text().splitlines()]
    assert header == ["chrom", "pos", "id", "ref", "alt", "kind", "chance[0]"]
    assert [(c, int(p) - 1, r, a) for c, p, _, r, a, *_ in lines] == data.variants


def test_scored_vcf(data: Data, tmp_path: Path) -> None:
    fc.convert(data.effects, tmp_path / "x.vcf", "vcf")
    store = zarr.open_group(str(data.effects), mode="r")
    reader = cyvcf2.VCF(str(tmp_path / "x.vcf"))
    assert reader.get_header_type("FASTISM_head")["Number"] == "3"
    assert dict(zip(reader.seqnames, reader.seqlens, strict=True)) == {"chr1": 1000, "chr2": 600}
    found = {(v.CHROM, v.POS - 1, v.REF, v.ALT[0]): v for v in reader}
    assert set(found) == set(data.variants)
    for row, variant in enumerate(data.variants):
        near(found[variant].INFO["FASTISM_head"], store["scores/head"][row])
        near(found[variant].INFO["FASTISM_REF_head"], store["reference/head"][row])
        near(found[variant].INFO["FASTISM_chance"], store["scores/chance"][row, 0])
    assert found[data.variants[3]].INFO["FASTISM_KIND"] == "deletion"
    places = [(v.CHROM, v.POS) for v in cyvcf2.VCF(str(tmp_path / "x.vcf"))]
    order = [c for c in reader.seqnames for place in places if place[0] == c]
    assert [c for c, _ in places] == order, "sorted by chromosome"
    assert all(a[0] != b[0] or a[1] <= b[1] for a, b in itertools.pairwise(places))


@pytest.mark.filterwarnings("error")
def test_xarray(data: Data) -> None:
    scan = fc.open_scan(data.scan)
    assert isinstance(scan, xarray.Dataset)
    assert scan["scores_head"].dims == ("sequence_index", "position", "letter", "head_0")
    assert scan["position"].values.tolist() == list(range(BEGIN, BEGIN + WINDOW))
    near(scan["scores_head"].sel(letter="G", position=BEGIN + 3), data.delta[:, 3, 2])
    near(scan["reference_head"], predict(data.model, data.windows)[0])
    assert scan["name"].values.tolist() == [f"r{i}" for i in range(5)]
    effects = fc.open_scan(data.effects)
    assert effects["scores_head"].dims == ("variant", "head_0")
    with pytest.raises(fc.StoreError, match="not a store"):
        fc.open_scan(data.folder)


def test_every_result_has_a_manifest(data: Data, tmp_path: Path) -> None:
    fc.convert(data.scan, tmp_path / "x.h5", "hdf5")
    of_store = json.loads(Path(f"{data.scan}.manifest.json").read_text())
    of_file = json.loads((tmp_path / "x.h5.manifest.json").read_text())
    for key in ("settings", "model", "input", "versions", "counts"):
        assert of_file[key] == of_store[key]
    assert (of_file["to"], of_file["store"]) == ("hdf5", "scan.zarr")
    read = hashlib.sha256((data.scan.parent / "in.bed").read_bytes()).hexdigest()
    assert of_store["sources"] == {"sequences": "in.bed", "sequences sha256": read, "genome": "genome.fa"}
    assert of_store["counts"]["sequences"] == 5


def test_what_a_format_cannot_hold_is_refused(data: Data, tmp_path: Path) -> None:
    for store, to, track, message in (
        (data.scan, "bigwig", None, "say which with track"),
        (data.scan, "modisco", "tail", "no such output"),
        (data.scan, "bigwig", "head:3", "say which with track"),
        (data.scan, "vcf", None, "VCF holds variants"),
        (data.effects, "hdf5", None, "holds scans of letters"),
        (data.effects, "vcf", "head:0", "VCF holds all outputs"),
        (data.scan, "parquet", None, "no such format"),
    ):
        with pytest.raises(fc.OptionError, match=message):
            fc.convert(store, tmp_path / "x", to, track)
    with pytest.raises(fc.StoreError, match="not a store"):
        fc.convert(tmp_path / "nothing", tmp_path / "x", "tsv")
    with pytest.raises(fc.OptionError, match="the output is a file"):
        fc.convert(data.scan, tmp_path, "tsv")
    assert not list(tmp_path.glob("*partial*"))


def test_unknown_letters_and_numbers_that_do_not_fit(tmp_path: Path) -> None:
    """Unknown letters have no importance; NaN and float16 overflow are refused, not written."""
    inputs = keras.Input((10, 4))
    model = keras.Model(inputs, keras.layers.Dense(1, name="big")(keras.layers.Flatten()(inputs)))
    model.get_layer("big").set_weights([np.full((40, 1), 1e5) * np.arange(40)[:, None], np.zeros(1)])
    source = write_fasta(tmp_path / "in.fa", {"a": "ACGTNACGTA"})
    alone = fc.Execution(verify=False)
    fc.scan(model, source, tmp_path / "big", execution=alone)
    with pytest.raises(fc.OptionError, match="float16"):
        fc.convert(tmp_path / "big", tmp_path / "x.h5", "hdf5")
    fc.convert(tmp_path / "big", tmp_path / "x.bedgraph", "bedgraph")
    places = [int(line.split("\t")[1]) for line in (tmp_path / "x.bedgraph").read_text().splitlines()]
    assert places == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    fc.scan(model, source, tmp_path / "nan", settings=fc.ScanSettings(score="logit"), execution=alone)
    with pytest.raises(fc.OptionError, match="TF-MoDISco takes numbers"):
        fc.convert(tmp_path / "nan", tmp_path / "x", "modisco")


def test_what_no_conversion_has_written_is_not_replaced(data: Data, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "model.h5", tmp_path / "x.tsv"
    theirs.write_text("...")
    with pytest.raises(fc.OptionError, match="only what a conversion has written"):
        fc.convert(data.scan, theirs, "tsv")
    assert theirs.read_text() == "..."
    for _ in range(2):
        fc.convert(data.scan, ours, "tsv")


def test_a_further_format_does_not_replace_the_model(tmp_path: Path) -> None:
    """Said before anything is computed: the store would be `net.zarr`, and its HDF5 file `net.h5`."""
    model, fasta = tmp_path / "net.h5", tmp_path / "in.fa"
    model.write_bytes(b"weights")
    fasta.write_text(">s\nACGT\n")
    command = ["scan", str(model), str(fasta), str(tmp_path / "net.zarr"), "--to", "hdf5"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2
    assert "only what a conversion has written" in result.output
    assert model.read_bytes() == b"weights"
    assert not (tmp_path / "net.zarr").exists()


def test_an_unfinished_store_is_not_drawn(data: Data, tmp_path: Path) -> None:
    store = tmp_path / "half.zarr"
    shutil.copytree(data.scan, store)
    Store(store).set_attributes({"complete": False})
    with pytest.raises(fc.InputError, match="not complete"):
        open_scan(store)
