"""What is missing, damaged, newer, taken or unwritable is said so; nothing half-written stays."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

import fastism_compiler as fc
from fastism_compiler.export.manifest import VERSION, Manifest
from tests.export.programs import compiled, tiny
from tests.formats.test_whole_files import no_file_above


@pytest.fixture(scope="module")
def program() -> fc.CompiledISM:
    return compiled(tiny(), batch_size=1)


@pytest.fixture(scope="module")
def artifacts(program: fc.CompiledISM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifacts")
    program.export(folder / "folder", "savedmodel")
    program.export(folder / "file.ism", "ism")
    return folder


def copy(artifacts: Path, name: str, to: Path) -> Path:
    source, target = artifacts / name, to / name
    shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    return target


def refused(path: Path, *parts: str) -> None:
    with pytest.raises(fc.ArtifactError) as caught:
        fc.load(path)
    for part in parts:
        assert part in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_missing(tmp_path: Path) -> None:
    refused(tmp_path / "nothing", "does not exist")
    refused(tmp_path, "fastism.json")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9, 0.999])
def test_truncated_file(artifacts: Path, tmp_path: Path, share: float) -> None:
    path = copy(artifacts, "file.ism", tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, "truncated", "file.ism")


def test_a_flipped_bit(artifacts: Path, tmp_path: Path) -> None:
    path = copy(artifacts, "file.ism", tmp_path)
    with zipfile.ZipFile(path) as bundle:
        entry = bundle.getinfo("savedmodel/saved_model.pb")
    content = bytearray(path.read_bytes())
    content[entry.header_offset + entry.file_size // 2] ^= 1
    path.write_bytes(content)
    refused(path, "damaged")


def test_damaged_and_missing_payload(artifacts: Path, tmp_path: Path) -> None:
    path = copy(artifacts, "folder", tmp_path)
    weights = next((path / "variables").glob("*.data*"))
    content = bytearray(weights.read_bytes())
    content[0] ^= 1
    weights.write_bytes(content)
    refused(path, "damaged", "variables/")
    weights.unlink()
    refused(path, "missing", "variables/")


def rewritten(path: Path, change: Any) -> None:
    file = path / "fastism.json"
    body = json.loads(file.read_text())
    change(body)
    file.write_text(json.dumps(body))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b.update(version=VERSION + 1), "newer version"),
        (lambda b: b.update(version="2"), "newer version"),
        (lambda b: b.update(format="other"), "not a program of this package"),
        (lambda b: b["starts"].pop(), "checksum"),
        (lambda b: b.pop("checksum"), "checksum"),
        (lambda b: b.clear(), "not a program"),
    ],
)
def test_manifests(artifacts: Path, tmp_path: Path, change: Any, message: str) -> None:
    path = copy(artifacts, "folder", tmp_path)
    rewritten(path, change)
    refused(path, message, "folder")


def test_a_manifest_that_is_no_json_or_lacks_a_field(artifacts: Path, tmp_path: Path) -> None:
    path = copy(artifacts, "folder", tmp_path)
    (path / "fastism.json").write_text('{"format": ')
    refused(path, "damaged", "JSON")
    from fastism_compiler.export.manifest import _checksum

    body = json.loads((artifacts / "folder" / "fastism.json").read_text())
    del body["checksum"], body["letters"]
    (path / "fastism.json").write_text(json.dumps({**body, "checksum": _checksum(body)}))
    refused(path, "incomplete", "letters")


def test_a_bundle_with_a_path_out_of_it(artifacts: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    path = copy(artifacts, "file.ism", tmp_path)
    with zipfile.ZipFile(path) as bundle:
        manifest = Manifest.from_json(bundle.read("manifest.json"), "file.ism")
    evil = replace(manifest, files={"../../outside": "0"})
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("manifest.json", evil.to_json())
        bundle.writestr("savedmodel/../../outside", "!")
    refused(path, "outside of it")
    assert not (tmp_path / "outside").exists()


def test_a_zip_of_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as bundle:
        bundle.writestr("readme.txt", "hello")
    refused(tmp_path / "other.zip", "not a bundle", "manifest.json")


def test_the_bundle_holds_no_pickle(artifacts: Path) -> None:
    with zipfile.ZipFile(artifacts / "file.ism") as bundle:
        names = bundle.namelist()
        assert {"manifest.json", "plan.txt", "graph.txt", "savedmodel/saved_model.pb"} <= set(names)
        assert not [n for n in names if n.endswith((".pkl", ".pickle", ".py"))]
        assert "multiply-adds" in bundle.read("plan.txt").decode()
        assert {i.date_time for i in bundle.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_targets(program: fc.CompiledISM, artifacts: Path, tmp_path: Path) -> None:
    path = copy(artifacts, "folder", tmp_path)
    with pytest.raises(fc.ArtifactError, match="overwrite=True"):
        program.export(path)
    before = sorted(tmp_path.iterdir())
    program.export(path, overwrite=True)
    assert sorted(tmp_path.iterdir()) == before
    assert fc.load(path).ranges.count == program.ranges.count
    program.export(tmp_path / "either", "ism")
    program.export(tmp_path / "either", overwrite=True)
    assert (tmp_path / "either").is_dir()
    program.export(tmp_path / "either", "ism", overwrite=True)
    assert (tmp_path / "either").is_file()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("...")
    with pytest.raises(fc.ArtifactError, match="another directory"):
        program.export(mine, overwrite=True)
    assert (mine / "thesis.tex").exists()
    with pytest.raises(fc.ArtifactError, match="cannot be written"):
        program.export(tmp_path / "no" / "such" / "place")
    (tmp_path / "file").write_text("")
    with pytest.raises(fc.ArtifactError, match="cannot be written"):
        program.export(tmp_path / "file" / "below")


def test_options(program: fc.CompiledISM, tmp_path: Path) -> None:
    for options, message in (
        ({"format": "pickle"}, "no such export format"),
        ({"format": "onnx", "batch_size": 2}, "no such option"),
        ({"format": "onnx", "function": "variants"}, "no such function"),
        ({"format": "stablehlo", "batch_size": 0}, "batch_size= is too small"),
    ):
        with pytest.raises(fc.OptionError, match=message):
            program.export(tmp_path / "program", **options)
    assert not list(tmp_path.iterdir())


def test_a_file_beside_the_target_is_not_ours(program: fc.CompiledISM, tmp_path: Path) -> None:
    """Only an ONNX model puts its weights into `<target>.data`."""
    theirs = tmp_path / "promoter.data"
    theirs.write_text("...")
    program.export(tmp_path / "promoter")
    program.export(tmp_path / "promoter", overwrite=True)
    assert theirs.read_text() == "..."


@pytest.mark.parametrize(("format", "room"), [("savedmodel", 1000), ("ism", 20_000), ("onnx", 1000)])
def test_a_full_disk(program: fc.CompiledISM, tmp_path: Path, format: str, room: int) -> None:
    """TensorFlow tells of it in another way where weights are written, and where the graph is."""
    (tmp_path / "old").write_text("old")
    with no_file_above(room), pytest.raises(fc.ArtifactError, match=r"cannot be written\ngot: .*old: File too large$"):
        program.export(tmp_path / "old", format, overwrite=True)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]
