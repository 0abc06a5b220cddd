"""What outputs, and the numbers of an output, are called in stores, pictures and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cyvcf2
import h5py
import keras
import numpy as np
import pytest
import zarr

import fastism_compiler as fc
from fastism_compiler.plot.scan import open_scan
from fastism_compiler.plot.scanned import Choice
from fastism_compiler.plot.variant_store import draw_variants
from fastism_compiler.runs.outputs import choose_outputs, numbered, numbers_along
from tests.runs.models import LENGTH, genome, one_hot, save, small_model, write_fasta

ALONE = fc.Execution(verify=False)
L = keras.layers


def named_model(*names: str) -> keras.Model:
    x = keras.Input((LENGTH, 4), name="sequence")
    y = L.GlobalAveragePooling1D()(L.Conv1D(3, 5, activation="relu")(x))
    return keras.Model(x, [L.Dense(2, name=name)(y) for name in names])


class Runs:
    """A scan and a list of variants by one model."""

    def __init__(self, model: keras.Model, folder: Path, outputs: tuple[str, ...] = ()) -> None:
        letters = genome(np.random.default_rng(1), {"c": 200})
        fasta = write_fasta(folder / "genome.fa", letters)
        (folder / "in.fa").write_text(f">s\n{letters['c'][:LENGTH]}\n")
        at = letters["c"][99]
        (folder / "in.tsv").write_text(f"c\t100\t{at}\t{'A' if at != 'A' else 'C'}\n")
        path, self.scan, self.variants = save(model, folder), folder / "scan.zarr", folder / "variants.zarr"
        scan, variants = fc.ScanSettings(window=3, outputs=outputs), fc.VariantSettings(outputs=outputs)
        fc.scan(path, folder / "in.fa", self.scan, settings=scan, execution=ALONE)
        fc.scan_variants(path, fasta, folder / "in.tsv", self.variants, settings=variants, execution=ALONE)


@pytest.mark.parametrize(
    ("text", "shape", "expected"),
    [
        ("head", (3,), {(0,): (0,), (1,): (1,), (2,): (2,)}),
        ("head:1", (), {(): ()}),
        ("head:2,0", (2,), {(2,): (0,), (0,): (1,)}),
        ("head:4-9", (2,), {(4,): (0,), (5,): (1,)}),
        ("head:*:7", (2,), {(0,): (0,), (1,): (1,)}),
        ("head:5-7:*", (2, 1), {(5, 0): (0, 0), (6, 0): (1, 0)}),
        ("head:3,4:1", (2,), {(3,): (0,), (4,): (1,)}),
        ("head:1:3,4", (2,), {(3,): (0,), (4,): (1,)}),
        ("head:1:3-5:2", (2, 2), {(3, 0): (0, 0), (3, 1): (0, 1), (4, 0): (1, 0), (4, 1): (1, 1)}),
    ],
)
def test_numbers(text: str, shape: tuple[int, ...], expected: dict[Any, Any]) -> None:
    (output,) = choose_outputs([text], ["head"])
    assert numbered({"numbers": {"head": numbers_along(output.index or ())}}, "head", shape) == expected


def test_chosen_numbers_keep_their_names(tmp_path: Path) -> None:
    every, some = tmp_path / "every", tmp_path / "some"
    for folder in (every, some):
        folder.mkdir()
    whole, part = Runs(small_model(), every), Runs(small_model(), some, ("head:2,0",))
    fc.convert(part.scan, some / "x.tsv", "tsv")
    header, *lines = (some / "x.tsv").read_text().splitlines()
    assert header.split("\t")[-2:] == ["head[2]", "head[0]"]
    fc.convert(whole.scan, every / "x.tsv", "tsv", "head:2")
    alone = [line.split("\t")[-1] for line in (every / "x.tsv").read_text().splitlines()[1:]]
    assert [float(line.split("\t")[-2]) for line in lines] == pytest.approx([float(a) for a in alone], rel=1e-4)
    ours, theirs = open_scan(part.scan), open_scan(whole.scan)
    assert [str(n) for n in ours.numbers(ours.output("head"))] == ["head:2", "head:0"]
    for text in ("head:0", "head:2"):
        effects = theirs.effects(0, theirs.output(text))
        np.testing.assert_allclose(ours.effects(0, ours.output(text)), effects, atol=1e-7)
    data = fc.open_scan(part.scan)["scores_head"]
    assert data["head_0"].values.tolist() == [2, 0]
    np.testing.assert_allclose(data.sel(head_0=2), fc.open_scan(whole.scan)["scores_head"][..., 2], atol=1e-7)
    with pytest.raises(fc.OptionError, match=r"0 \.\. 2"):
        ours.output("head:1")
    with pytest.raises(fc.OptionError, match="one number per cell"):
        fc.convert(part.scan, some / "y.tsv", "tsv", "head:1")


def test_chosen_numbers_of_variants(tmp_path: Path) -> None:
    runs = Runs(small_model(), tmp_path, ("head:2,0",))
    group = zarr.open_group(runs.variants, mode="r")
    heads = draw_variants(group, "lollipop", Choice(output="head:0")).axes[0].collections[1].get_offsets()
    np.testing.assert_allclose(heads[:, 1], group["scores/head"][:, 1], rtol=1e-6)
    fc.convert(runs.variants, tmp_path / "x.vcf", "vcf")
    described = cyvcf2.VCF(str(tmp_path / "x.vcf")).get_header_type("FASTISM_head")["Description"]
    assert described.strip('"') == "head[2], head[0]: delta of the alternate"
    for wrong, message in (("head:1", "no such number"), ("head", r"head:INDEX, 0 \.\. 2")):
        with pytest.raises(fc.OptionError, match=message):
            draw_variants(group, "lollipop", Choice(output=wrong))


def test_outputs_that_would_share_a_field_go_by_their_numbers(tmp_path: Path) -> None:
    runs = Runs(named_model("a-b", "a_b"), tmp_path)
    fc.convert(runs.variants, tmp_path / "x.vcf", "vcf")
    reader = cyvcf2.VCF(str(tmp_path / "x.vcf"))
    assert reader.get_header_type("FASTISM_1")["Description"].strip('"') == "a_b: delta of the alternate"
    (variant,) = reader
    group = zarr.open_group(runs.variants, mode="r")
    for number, name in enumerate(("a-b", "a_b")):
        np.testing.assert_allclose(variant.INFO[f"FASTISM_{number}"], group[f"scores/{name}"][0], rtol=1e-5)
        np.testing.assert_allclose(variant.INFO[f"FASTISM_REF_{number}"], group[f"reference/{name}"][0], rtol=1e-5)


@pytest.mark.parametrize("name", ["start", "seqs"])
def test_outputs_called_like_a_dataset_of_the_layout(name: str, tmp_path: Path) -> None:
    runs = Runs(named_model(name, "other"), tmp_path)
    with pytest.raises(fc.OptionError, match="has another dataset of this name"):
        fc.convert(runs.scan, tmp_path / "x.h5", "hdf5")
    assert not (tmp_path / "x.h5").exists()
    fc.convert(runs.scan, tmp_path / "x.h5", "hdf5", f"{name}:1")
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["scores"].shape == (1, 3, 4, 1)


def test_outputs_of_a_dict_in_another_order(tmp_path: Path) -> None:
    x = keras.Input((LENGTH, 4), name="sequence")
    y = L.GlobalAveragePooling1D()(L.Conv1D(3, 5, activation="relu")(x))
    model = keras.Model(x, {name: L.Dense(n)(y) for name, n in (("b", 2), ("a", 3))})
    runs = Runs(model, tmp_path, ("b:0-2", "a"))
    letters = genome(np.random.default_rng(1), {"c": 200})["c"][:LENGTH]
    expected = model(one_hot(letters)[None])
    group = zarr.open_group(runs.scan, mode="r")
    for name in ("a", "b"):
        np.testing.assert_allclose(group[f"reference/{name}"][:], expected[name], rtol=1e-4, atol=1e-6)


def test_ways_to_write_a_number(tmp_path: Path) -> None:
    x = keras.Input((LENGTH, 4), name="sequence")
    profile = L.Conv1D(3, 5, name="profile")(x)
    runs = Runs(
        keras.Model(x, [profile, L.Dense(3, name="count")(L.Flatten()(profile))]), tmp_path, ("0:4-7", "count:2")
    )
    columns = {}
    for wanted in ("profile:5:2", "profile:5,2", "count", "count:2"):
        target = tmp_path / f"{wanted}.tsv"
        fc.convert(runs.scan, target, "tsv", wanted)
        header, *lines = target.read_text().splitlines()
        columns[wanted] = header.split("\t")[-1], [line.split("\t")[-1] for line in lines]
    assert columns["profile:5:2"] == columns["profile:5,2"]
    assert columns["count"] == columns["count:2"]
    assert columns["profile:5,2"][0] == "profile[5,2]"
    scan = open_scan(runs.scan)
    assert scan.output("profile:5:2") == scan.output("profile:5,2")
    assert scan.output("profile:5:2").index == (1, 2)
    with pytest.raises(fc.OptionError, match=r"4,0 \.\. 6,2"):
        scan.output("profile:1,2")


def test_a_number_is_chosen_once() -> None:
    with pytest.raises(fc.OptionError, match="names a number once"):
        choose_outputs(["head:2,0,2"], ["head"])


def test_a_name_of_two_outputs_is_refused_by_name() -> None:
    with pytest.raises(fc.OptionError, match="several outputs have this name"):
        choose_outputs(["head:0"], ["head", "head"])
    assert [o.number for o in choose_outputs(["1"], ["head", "head"])] == [1]


@pytest.mark.parametrize("place", [".", "/", ""])
def test_an_output_has_a_name(place: str, tmp_path: Path) -> None:
    path, fasta = save(small_model(), tmp_path), write_fasta(tmp_path / "in.fa", {"s": "A" * LENGTH})
    with pytest.raises(fc.OptionError, match="an output needs a name"):
        fc.scan(path, fasta, place, execution=ALONE)
