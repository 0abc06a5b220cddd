"""Stores that are damaged after they were written: said by file, refused by every reader, mended by the same scan."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from click.testing import CliRunner

import fastism_compiler as fc
from fastism_compiler.cli import main
from fastism_compiler.plot.scan import open_scan
from fastism_compiler.plot.scanned import Choice, draw
from fastism_compiler.report import write_report
from fastism_compiler.runs import run
from fastism_compiler.runs.journal import Journal
from tests.runs.killed import Programs, Scorer
from tests.runs.models import write_fasta
from tests.runs.test_resume import digests

TASKS = 12
SHARD = fc.Execution(verify=False, shard=(1, 2))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    records = {f"s{i}": "".join(rng.choice(list("ACGT"), 20)) for i in range(2 * TASKS - 1)}
    return write_fasta(tmp_path_factory.mktemp("source") / "in.fa", records)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers from letters alone: what is tested is the store."""
    monkeypatch.setattr(run, "scorer_of", lambda *_: Scorer(Programs(), fc.ScanSettings()))  # type: ignore[arg-type]


def scan(source: Path, store: Path, execution: fc.Execution | None = None) -> fc.Summary:
    return fc.scan("model.keras", source, store, execution=execution or fc.Execution(verify=False))


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("whole") / "out.zarr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "scorer_of", lambda *_: Scorer(Programs(), fc.ScanSettings()))
        scan(source, store)
    return store


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "out.zarr")
    shutil.copy(f"{whole}.manifest.json", tmp_path)
    return tmp_path / "out.zarr"


def flip(path: Path, at: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(at * (len(content) - 1))] ^= 1
    path.write_bytes(content)


def remove(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def empty(path: Path) -> None:
    path.write_bytes(b"")


RESULT, COLUMN, STRINGS = "scores/head/c/5/0/0/0", "sequence/c/0/0", "name/c/0"
KINDS = [flip, remove, cut, empty]
FILES = [RESULT, COLUMN, STRINGS, "positions/c/0", "scores/head/zarr.json", "name/zarr.json", "scores/zarr.json"]


def read_all(path: Path) -> None:
    for name in ("scores_head", "reference_head", "sequence", "name"):
        _ = fc.open_scan(path)[name].values


@pytest.mark.parametrize("file", [RESULT, COLUMN, "name/zarr.json"])
@pytest.mark.parametrize("damage", [flip, remove])
def test_every_reader_names_the_damaged_file(damage: Any, file: str, store: Path) -> None:
    damage(store / file)
    for read in (
        lambda: fc.convert(store, store.with_name("x.tsv"), "tsv"),
        lambda: write_report(store, store.with_name("x.html")),
        lambda: draw(open_scan(store), "heatmap", Choice("10", "head:0")),
        lambda: read_all(store),
    ):
        with pytest.raises(fc.StoreError, match=file) as caught:
            read()
        assert "again" in str(caught.value), "what to do"
    assert not store.with_name("x.tsv").exists()
    assert not store.with_name("x.html").exists()


@pytest.mark.parametrize("read", ["convert", "open_scan"])
def test_a_damaged_file_is_refused_or_changes_nothing(read: str, store: Path) -> None:
    """Whoever reads a file compares its bytes; of files that a result does not depend on, the sizes are compared."""
    target = store.with_name("x.tsv")

    def result() -> bytes:
        if read == "open_scan":
            return b"".join(np.asarray(v.values).tobytes() for v in fc.open_scan(store).variables.values() if v.ndim)
        fc.convert(store, target, "tsv")
        return target.read_bytes()

    expected, refusals = result(), 0
    chunks = {p.relative_to(store).parts[0]: p for p in store.rglob("c/**/*") if p.is_file()}
    for path in chunks.values():  # one of each array
        content = path.read_bytes()
        flip(path)
        try:
            assert result() == expected, path
        except fc.StoreError as error:
            refusals += 1
            assert str(path.relative_to(store)) in str(error)
        path.write_bytes(content)
    assert refusals >= len(chunks) / 2
    cut(chunks["reference"])
    with pytest.raises(fc.StoreError, match="reference"):
        result()


@pytest.mark.parametrize(("damage", "file"), itertools.product(KINDS, FILES))
def test_the_same_scan_mends_a_complete_store(damage: Any, file: str, store: Path, whole: Path, source: Path) -> None:
    damage(store / file)
    report = fc.check_store(store)
    assert [d.file for d in report.damaged] == [file]
    summary = scan(source, store)
    assert (summary.complete, summary.computed, summary.mended) == (True, int(file == RESULT), 1)
    assert digests(store) == digests(whole)
    assert fc.check_store(store).whole
    assert not (store / ".progress").exists()


def test_a_store_is_mended_from_a_pipe(store: Path, whole: Path, source: Path, tmp_path: Path) -> None:
    """A pipe gives its bytes once; the input is compared first, and then written again."""
    (store / "sequence" / "c" / "0" / "0").unlink()
    pipe = tmp_path / source.name
    os.mkfifo(pipe)
    threading.Thread(target=pipe.write_bytes, args=(source.read_bytes(),), daemon=True).start()
    assert scan(pipe, store).mended == 1
    assert digests(store) == digests(whole)


def test_whoever_joins_compares_sizes_only(store: Path, source: Path) -> None:
    flip(store / RESULT)
    assert scan(source, store, SHARD).mended == 0
    (store / RESULT).write_bytes(b"cut")
    assert scan(source, store, SHARD).mended == 1


@pytest.mark.parametrize("at", [0.02, 0.2, 0.4, 0.6, 0.8, 0.97])
def test_the_roots_own_metadata_is_mended_from_the_manifest(at: float, store: Path, whole: Path, source: Path) -> None:
    flip(store / "zarr.json", at)
    with pytest.raises(fc.StoreError, match=r"zarr\.json"):
        fc.open_scan(store)
    with pytest.raises(fc.StoreError, match=r"zarr\.json"):
        open_scan(store)
    assert [d.file for d in fc.check_store(store).damaged] == ["zarr.json"]
    assert scan(source, store).mended == 1
    assert digests(store) == digests(whole)


def test_a_lost_root_and_manifest_are_refused_by_name(store: Path, source: Path) -> None:
    (store / "zarr.json").write_bytes(b"\xff{")
    Path(f"{store}.manifest.json").write_text("{")
    with pytest.raises(fc.StoreError, match=r"zarr\.json"):
        scan(source, store)
    assert [d.file for d in fc.check_store(store).damaged] == ["zarr.json", "out.zarr.manifest.json"]


def test_a_damaged_manifest_is_written_anew(store: Path, whole: Path, source: Path) -> None:
    manifest = Path(f"{store}.manifest.json")
    flip(manifest)
    assert [d.file for d in fc.check_store(store).damaged] == ["out.zarr.manifest.json"]
    summary = scan(source, store)
    assert (summary.computed, summary.mended) == (0, 1)
    assert manifest.read_bytes() == Path(f"{whole}.manifest.json").read_bytes()


def test_chunks_that_changed_places_are_found(store: Path, whole: Path, source: Path) -> None:
    """Each is whole by its own checksum, but the store knows which belongs where."""
    one, other = store / RESULT, store / RESULT.replace("5", "6")
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)
    assert len(fc.check_store(store).damaged) == 2
    assert scan(source, store).computed == 2
    assert digests(store) == digests(whole)


def test_a_killed_run_that_lost_files_goes_on(whole: Path, source: Path, tmp_path: Path) -> None:
    """A chunk, a column, a record and the plan of an unfinished store."""
    store = tmp_path / "out.zarr"
    for file, damage, computed in (
        ("scores/head/c/2/0/0/0", flip, TASKS // 2 + 1),
        ("reference/head/c/2/0", remove, TASKS // 2 + 1),
        (COLUMN, flip, TASKS // 2),
        ("start/zarr.json", remove, TASKS // 2),
        (".progress/done/4.json", flip, TASKS // 2 + 1),
        (".progress/plan.json", cut, TASKS),
    ):
        assert not scan(source, store, SHARD).complete
        assert len(Journal(store).finished()) == TASKS // 2
        damage(store / file)
        assert [d.file for d in fc.check_store(store).damaged] == [file]
        assert scan(source, store).computed == computed
        assert digests(store) == digests(whole)
        shutil.rmtree(store)


def test_nothing_in_the_root_of_an_unfinished_store_is_believed_blindly(source: Path, tmp_path: Path) -> None:
    store = tmp_path / "out.zarr"
    scan(source, store, SHARD)
    text = (store / "zarr.json").read_text()
    (store / "zarr.json").write_text(text.replace('"rows_per_task": 2', '"rows_per_task": 3'))
    with pytest.raises(fc.StoreError, match=r"zarr\.json"):
        scan(source, store)


def test_a_store_of_an_earlier_version_opens(store: Path, tmp_path: Path) -> None:
    """No checksums, no list of files: what can be decoded is read, and what cannot is named."""
    old = tmp_path / "old.zarr"
    there, group = zarr.open_group(store, mode="r"), zarr.open_group(old, mode="w")
    kept = {k: v for k, v in there.attrs.items() if k not in ("checksum", "files", "tasks")}
    group.attrs.update(kept)
    for name, array in there.members(max_depth=None):
        if isinstance(array, zarr.Array):
            dtype = str if name in ("name", "chrom", "strand") else array.dtype
            made = group.create_array(
                name,
                shape=array.shape,
                chunks=array.chunks,
                dtype=dtype,
                dimension_names=array.metadata.dimension_names,
            )
            made[:] = array[:]
    np.testing.assert_array_equal(fc.open_scan(old)["scores_head"], there["scores/head"][:])
    fc.convert(old, tmp_path / "x.tsv", "tsv")
    report = fc.check_store(old)
    assert report.whole
    assert "earlier version" in str(report)
    cut(old / RESULT)
    assert [d.file for d in fc.check_store(old).damaged] == [RESULT]
    with pytest.raises(fc.StoreError, match="scores/head"):
        fc.convert(old, tmp_path / "y.tsv", "tsv")
    (old / "sequence" / "zarr.json").write_text("{")
    with pytest.raises(fc.StoreError, match="sequence"):
        open_scan(old)


def test_all_zero_chunks_exist(tmp_path: Path) -> None:
    """Letters that are all A are zeros: what is lost would read as them."""
    source, store = write_fasta(tmp_path / "a.fa", {"a": 20 * "A", "b": 20 * "A"}), tmp_path / "out.zarr"
    scan(source, store)
    arrays = [a for _, a in zarr.open_group(store, mode="r").members(max_depth=None) if isinstance(a, zarr.Array)]
    for array in arrays:
        assert array.nchunks_initialized == array.nchunks
        assert array.metadata.to_dict()["codecs"][-1]["name"] == "crc32c"
    remove(store / COLUMN)
    with pytest.raises(fc.StoreError, match=COLUMN):
        fc.convert(store, tmp_path / "x.tsv", "tsv")


def test_the_command(store: Path, tmp_path: Path) -> None:
    def check(path: Path) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["check", str(path)])
        return result.exit_code, result.output

    code, text = check(store)
    assert code == 0
    assert "whole" in text
    flip(store / RESULT)
    remove(store / STRINGS)
    code, text = check(store)
    assert code == 1
    assert f"{RESULT}: " in text
    assert f"{STRINGS}: missing" in text
    assert check(tmp_path / "nothing")[0] == 2
    (tmp_path / "folder").mkdir()
    assert check(tmp_path / "folder")[0] == 2


def test_a_manifest_that_is_no_manifest_is_not_replaced(source: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "out.zarr.manifest.json"
    theirs.write_text(json.dumps({"mine": 1}))
    with pytest.raises(fc.StoreError, match=r"out\.zarr\.manifest\.json"):
        scan(source, tmp_path / "out.zarr")
    assert json.loads(theirs.read_text()) == {"mine": 1}
