"""Files appear whole or not at all: full disks, crashing libraries, kills, and what belongs to the user."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import fastism_compiler as fc
from fastism_compiler.cli import main
from fastism_compiler.formats import FORMATS, apart
from fastism_compiler.host import files
from fastism_compiler.plot import save
from fastism_compiler.runs import run
from fastism_compiler.runs.manifest import write_manifest
from tests.runs.killed import Programs, Scorer
from tests.runs.models import write_fasta

OF_SCANS = [name for name in FORMATS if name != "vcf"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(0)
    source = write_fasta(folder / "in.fa", {f"s{i}": "".join(rng.choice(list("ACGT"), 20)) for i in range(23)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "scorer_of", lambda *_: Scorer(Programs(), fc.ScanSettings()))
        fc.scan("model.keras", source, folder / "out.zarr", execution=fc.Execution(verify=False))
    return folder / "out.zarr"


def dead() -> int:
    """The number of a process that has ended."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("to", OF_SCANS)
def test_a_full_disk_leaves_nothing_or_the_old_file(to: str, store: Path, tmp_path: Path) -> None:
    target = tmp_path / f"x.{to}"
    with pytest.raises(fc.RunError, match=f"x.{to}"), no_file_above(200):
        fc.convert(store, target, to, "head:0")
    assert list(tmp_path.iterdir()) == []
    fc.convert(store, target, to, "head:0")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    fc.convert(store, target, to, "head:0")
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before, "the manifest too"
    with pytest.raises(fc.RunError), no_file_above(200):
        fc.convert(store, target, to, "head:0")
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("to", ["hdf5", "bigwig"])
def test_room_is_asked_for_first(to: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(fc.RunError, match="No space left"):
        fc.convert(store, tmp_path / "x", to, "head:0")
    assert list(tmp_path.iterdir()) == []


def test_a_library_that_crashes_is_an_error(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer's process is killed as a segmentation fault kills it."""
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    monkeypatch.setattr(apart, "_command", lambda *_: [sys.executable, "-c", crash])
    with pytest.raises(fc.RunError, match=r"hdf5(.|\n)*SIGSEGV"):
        fc.convert(store, tmp_path / "x.h5", "hdf5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("to", ["hdf5", "bigwig", "modisco"])
def test_what_does_not_read_back_is_refused(
    to: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fc.convert(store, tmp_path / "x", to, "head:0")
    good = next(p for p in (tmp_path / "x", tmp_path / "x" / "shap.npz") if p.is_file())
    bad = tmp_path / good.name
    content = good.read_bytes()
    bad.write_bytes(content[: len(content) // 2])
    source = fc.formats.Source(store)
    with pytest.raises((OSError, ValueError, zipfile.BadZipFile)):
        FORMATS[to].check(source, bad if to != "modisco" else tmp_path)


def test_partials_of_killed_writers_go(store: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.tsv"
    mine = files.partial_path(target)
    gone = mine.with_name(mine.name.replace(f".{os.getpid()}.", f".{dead()}."))
    other = files.partial_path(tmp_path / "y.tsv").with_name(gone.name.replace("x.tsv", "y.tsv"))
    for path in (mine, gone, other):
        path.write_text("half")
    fc.convert(store, target, "tsv")
    assert mine.exists(), "its writer lives"
    assert not gone.exists()
    assert other.exists(), "of another file"


@pytest.mark.parametrize("name", ["ohe.npz", "shap.npz"])
def test_the_users_own_arrays_stay(name: str, store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / name).write_bytes(b"mine")
    command = ["convert", str(store), str(folder), "--to", "modisco", "--track", "head:0"]
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.output
    assert (folder / name).read_bytes() == b"mine"
    assert CliRunner().invoke(main, [*command, "--overwrite"]).exit_code == 0
    assert np.load(folder / name)["arr_0"].shape == (23, 4, 20)
    assert CliRunner().invoke(main, command).exit_code == 0, "ours by now"


@pytest.mark.parametrize(("to", "name"), [("tsv", "x"), ("modisco", "x/ohe.npz")])
def test_what_the_user_has_changed_since_stays(to: str, name: str, store: Path, tmp_path: Path) -> None:
    command = ["convert", str(store), str(tmp_path / "x"), "--to", to, "--track", "head:0"]
    for _ in range(2):
        assert CliRunner().invoke(main, command).exit_code == 0, "unchanged: replaced"
    (tmp_path / name).write_bytes(b"with notes")
    refused = CliRunner().invoke(main, command)
    assert (refused.exit_code, f"{tmp_path / name}" in refused.output) == (2, True), refused.output
    assert "--overwrite" in refused.output
    assert (tmp_path / name).read_bytes() == b"with notes"
    assert CliRunner().invoke(main, [*command, "--overwrite"]).exit_code == 0
    assert CliRunner().invoke(main, command).exit_code == 0


@pytest.mark.parametrize(
    ("to", "message"), [("vcf", "does not hold"), ("pickle", "no such format"), ("tsv", "changed")]
)
def test_formats_are_looked_at_before_the_scan(to: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(fc.OptionError, match=message):
        fc.scan("no.keras", "no.fa", tmp_path / "out.zarr", to=[(to, tmp_path / "mine")])
    with pytest.raises(fc.OptionError, match="does not hold"):
        fc.scan_variants("no.keras", "no.fa", "no.vcf", tmp_path / "out.zarr", to=[("hdf5", tmp_path / "x")])


@pytest.mark.parametrize("to", ["tsv", "modisco"])
def test_a_store_is_no_output(to: str, store: Path) -> None:
    before = files.sha256(store.with_name("out.zarr.manifest.json"))
    with pytest.raises(fc.OptionError, match="a store"):
        fc.convert(store, store, to, "head:0", overwrite=True)
    assert files.sha256(store.with_name("out.zarr.manifest.json")) == before


def test_the_users_own_manifest_stays(store: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "x.tsv.manifest.json"
    theirs.write_text('{"mine": 1}')
    with pytest.raises(fc.OptionError, match="overwrite"):
        fc.convert(store, tmp_path / "x.tsv", "tsv")
    assert theirs.read_text() == '{"mine": 1}'
    fc.convert(store, tmp_path / "x.tsv", "tsv", overwrite=True)
    assert json.loads(theirs.read_text())["to"] == "tsv"


def test_a_manifest_says_what_its_file_is(store: Path, tmp_path: Path) -> None:
    """So that a kill between the two cannot pass an older file off as this one."""
    fc.convert(store, tmp_path / "x.tsv", "tsv")
    fc.convert(store, tmp_path / "x", "modisco", "head:0")
    for path, names in (("x.tsv", ["x.tsv"]), ("x", ["ohe.npz", "shap.npz"])):
        told = json.loads((tmp_path / f"{path}.manifest.json").read_text())["sha256"]
        assert sorted(told) == names
    assert told["ohe.npz"] == files.sha256(tmp_path / "x" / "ohe.npz")


def test_a_killed_conversion_is_done_again(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment between manifest and file: the next run must not take the target for somebody else's."""

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    for track in ("head:0", "head:1"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("fastism_compiler.formats.put_in_place", killed)
            fc.convert(store, tmp_path / "x.tsv", "tsv", track)
        fc.convert(store, tmp_path / "x.tsv", "tsv", track)
        assert track[-1] in (tmp_path / "x.tsv").read_text().partition("\n")[0]


def test_pictures_are_whole_or_not_there(tmp_path: Path) -> None:
    from fastism_compiler.plot.style import new_figure

    figure = new_figure(2, 2)
    figure.add_subplot().plot([1, 2])
    for ending in ("png", "svg", "pdf"):
        with pytest.raises(fc.OptionError, match="could not be written"), no_file_above(500):
            save(figure, tmp_path / f"x.{ending}")
        assert list(tmp_path.iterdir()) == []
    save(figure, tmp_path / "x.png")


def test_partial_exports_of_killed_runs_go(tmp_path: Path) -> None:
    from fastism_compiler.export.target import new_artifact

    target = tmp_path / "x.ism"
    mine = files.partial_path(target)
    gone = mine.with_name(mine.name.replace(f".{os.getpid()}.", f".{dead()}."))
    (gone / "savedmodel").mkdir(parents=True)
    with new_artifact(target) as scratch:
        scratch.artifact.write_text("whole")
    assert [p.name for p in tmp_path.iterdir()] == ["x.ism"]


def test_a_disk_that_fills_behind_the_new_file_is_no_error(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest that is there names the new file and the one that it replaced, and serves the next conversion."""
    target = tmp_path / "x.tsv"
    fc.convert(store, target, "tsv", "head:0")
    written = []

    def once(path: Path, content: dict[str, Any]) -> None:
        if written:
            raise OSError(28, "No space left on device")
        written.append(content)
        write_manifest(path, content)

    with monkeypatch.context() as full:
        full.setattr("fastism_compiler.formats.write_manifest", once)
        fc.convert(store, target, "tsv", "head:1")
    assert written[0]["sha256"]["x.tsv"] == files.sha256(target) != written[0]["sha256_before"]["x.tsv"]
    fc.convert(store, target, "tsv", "head:1")
