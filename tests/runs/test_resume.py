"""Runs that are killed, refused, shared or short of disk: the store ends the same, byte for byte."""

from __future__ import annotations

import errno
import hashlib
import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import fastism_compiler as fc
from fastism_compiler.options import CompileOptions
from fastism_compiler.runs import run
from fastism_compiler.runs.journal import FOLDER, Journal
from fastism_compiler.runs.manifest import versions
from tests.runs import killed
from tests.runs.models import save, small_model, write_fasta

ROOT = Path(__file__).parents[2]
TASKS = 12
ALONE = fc.Execution(verify=False)


def digests(store: Path) -> dict[str, str]:
    files = [p for p in sorted(store.rglob("*")) if p.is_file()]
    return {str(p.relative_to(store)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    records = {f"s{i}": "".join(rng.choice(list("ACGT"), 20)) for i in range(2 * TASKS - 1)}
    return write_fasta(tmp_path_factory.mktemp("source") / "in.fa", records)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(small_model(20), tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def uninterrupted(source: Path, path: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, str], str]:
    """Events of a whole run, its files, and its manifest."""
    output = tmp_path_factory.mktemp("whole") / "out.zarr"
    code, told = killed.run(source, path, output, 0)
    assert code == 0
    assert told["tasks"] == told["computed"] == TASKS
    return told["events"], digests(output), (output.parent / "out.zarr.manifest.json").read_text()


POINTS = 14


@pytest.mark.parametrize("point", range(POINTS))
def test_kill_and_resume(
    point: int, source: Path, path: str, uninterrupted: tuple[int, dict[str, str], str], tmp_path: Path
) -> None:
    """Fourteen points from the first write to the removal of the journal."""
    events, files, manifest = uninterrupted
    output = tmp_path / "out.zarr"
    event = 1 + point * (events - 1) // (POINTS - 1)
    assert killed.run(source, path, output, event) == (-signal.SIGKILL, {})
    finished = len(Journal(output).finished())
    complete = zarr_attributes(output).get("complete", False)
    code, told = killed.run(source, path, output, 0)
    assert code == 0
    assert told["complete"]
    assert told["computed"] == (0 if complete else TASKS - finished), "what was finished is not computed again"
    assert digests(output) == files
    assert (tmp_path / "out.zarr.manifest.json").read_text() == manifest


def zarr_attributes(store: Path) -> dict[str, Any]:
    group = store / "zarr.json"
    return json.loads(group.read_text())["attributes"] if group.exists() else {}


def scan(path: str, source: Path, output: Path, execution: fc.Execution = ALONE, **settings: Any) -> fc.Summary:
    return fc.scan(path, source, output, settings=fc.ScanSettings(batch_size=2, **settings), execution=execution)


def test_a_second_run_is_refused_or_joins(path: str, source: Path, tmp_path: Path) -> None:
    """Another run is present, and at work on task 5: a joining run computes the others."""
    output, whole = tmp_path / "out", tmp_path / "whole"
    scan(path, source, whole)
    first = scan(path, source, output, fc.Execution(verify=False, shard=(1, TASKS)))
    assert (first.computed, first.complete) == (1, False)
    other = Journal(output)
    other.enter(join=False)
    with other.claim(5) as mine:
        assert mine
        with pytest.raises(fc.StoreError, match="another run is at work"):
            scan(path, source, output)
        joined = scan(path, source, output, fc.Execution(verify=False, join=True))
        assert (joined.computed, joined.complete) == (TASKS - 2, False)
        assert np.isnan(zarr.open_group(str(output), mode="r")["scores/head"][10:12]).all(), "what is missing is NaN"
        with pytest.raises(fc.StoreError, match="the store is not complete"):
            fc.convert(output, tmp_path / "x.tsv", "tsv")
    other.leave()
    last = scan(path, source, output)
    assert (last.computed, last.complete) == (1, True)
    assert digests(output) == digests(whole)


def test_shards_make_the_whole(path: str, source: Path, tmp_path: Path) -> None:
    parts = [scan(path, source, tmp_path / "out", fc.Execution(verify=False, shard=(i, 3))) for i in (2, 1, 3)]
    assert [p.complete for p in parts] == [False, False, True]
    assert sum(p.computed for p in parts) == TASKS
    scan(path, source, tmp_path / "whole")
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


@pytest.mark.parametrize("after", [3, 45, 60])
def test_a_full_disk_loses_nothing(
    after: int, path: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import zarr.storage._local as local

    put, count = local._put, [0]

    def full(*args: Any, **options: Any) -> int:
        count[0] += 1
        if count[0] > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        return put(*args, **options)

    with monkeypatch.context() as patch, pytest.raises(fc.RunError, match="No space left on device") as caught:
        patch.setattr(local, "_put", full)
        scan(path, source, tmp_path / "out")
    assert "what is finished is kept" in str(caught.value)
    finished = len(Journal(tmp_path / "out").finished())
    resumed = scan(path, source, tmp_path / "out")
    assert resumed.computed == TASKS - finished
    scan(path, source, tmp_path / "whole")
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_a_store_of_other_settings_input_or_model_is_refused(
    path: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    scan(path, source, output, fc.Execution(verify=False, shard=(1, 2)))
    with pytest.raises(fc.StoreError, match="another settings") as caught:
        scan(path, source, output, score="value")
    assert "delta" in str(caught.value)
    with monkeypatch.context() as patch, pytest.raises(fc.StoreError, match="another settings") as caught:
        patch.setitem(CompileOptions.__init__.__kwdefaults__, "jit", True)
        scan(path, source, output, runtime="jax")
    assert "{'runtime': 'tensorflow'}" in str(caught.value) and "{'runtime': 'jax'}" in str(caught.value)
    changed = tmp_path / "in.fa"
    changed.write_text(source.read_text().replace("A", "C", 1))
    with pytest.raises(fc.StoreError, match="another input"):
        scan(path, changed, output)
    other = small_model(20)
    other.set_weights([w * 2 for w in other.get_weights()])
    with pytest.raises(fc.StoreError, match="another model"):
        scan(save(other, tmp_path), source, output)
    monkeypatch.setattr(run, "versions", lambda: {**versions(), "keras": "1.0"})
    with pytest.raises(fc.StoreError, match="another versions") as caught:
        scan(path, source, output)
    assert "1.0" in str(caught.value)


def test_a_complete_store_is_left_as_it_is(path: str, source: Path, tmp_path: Path) -> None:
    scan(path, source, tmp_path / "out")
    before = digests(tmp_path / "out")
    seen: list[tuple[int, int]] = []
    again = fc.scan(
        path,
        source,
        tmp_path / "out",
        settings=fc.ScanSettings(batch_size=2),
        execution=ALONE,
        progress=lambda *at: seen.append(at),
    )
    assert (again.complete, again.computed) == (True, 0)
    assert digests(tmp_path / "out") == before
    assert not (tmp_path / "out" / ".progress").exists()


def test_a_store_that_another_run_finished_meanwhile_is_kept(
    path: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that joins late finds a complete store without a journal: it must not take it for a new one."""
    real, output = run.scorer_of, tmp_path / "out"

    def slow(*args: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(run, "scorer_of", real)
            scan(path, source, output)
        return real(*args)

    monkeypatch.setattr(run, "scorer_of", slow)
    late = scan(path, source, output, fc.Execution(verify=False, join=True))
    assert (late.complete, late.computed) == (True, 0)
    monkeypatch.setattr(run, "scorer_of", real)
    scan(path, source, tmp_path / "whole")
    assert digests(output) == digests(tmp_path / "whole")


def test_what_somebody_put_into_an_unfinished_store_stays(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "results"
    (output / FOLDER).mkdir(parents=True)
    notes, other = output / "notes.txt", output / "other.zarr"
    model = save(small_model(20), tmp_path)
    notes.write_text("...")
    zarr.create_group(other)
    for theirs in (notes, other):
        with pytest.raises(fc.StoreError, match="holds something else"):
            fc.scan(model, source, output, execution=fc.Execution(verify=False))
        assert theirs.exists()
        theirs.rename(tmp_path / theirs.name)
    assert fc.scan(model, source, output, execution=fc.Execution(verify=False)).complete


def test_a_store_names_the_model_that_was_loaded(
    path: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the file changes."""
    from fastism_compiler.frontend.keras import loading
    from fastism_compiler.genomics import fasta

    other = small_model(20)
    other.set_weights([w * 2 for w in other.get_weights()])
    mine = tmp_path / "mine.keras"
    mine.write_bytes(Path(path).read_bytes())
    real = loading.read_config

    def slow(*args: Any) -> Any:
        other.save(mine)
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(loading, "read_config", slow)
        scan(str(mine), source, tmp_path / "early")
    mine.write_bytes(Path(path).read_bytes())
    opened = fasta.read_fasta

    def late(*args: Any, **options: Any) -> Any:
        other.save(mine)
        yield from opened(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr("fastism_compiler.runs.scan.read_fasta", late)
        scan(str(mine), source, tmp_path / "late")
    scan(path, source, tmp_path / "whole")
    told = {zarr_attributes(tmp_path / name)["model"]["sha256"] for name in ("early", "late", "whole")}
    assert len(told) == 1, "the digest is that of the model that was loaded"
    with pytest.raises(fc.StoreError, match="another model"):
        scan(str(mine), source, tmp_path / "late")
