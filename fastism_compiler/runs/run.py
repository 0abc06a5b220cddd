"""One run: the input into the store, the tasks through the programs, the manifest beside the result."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from fastism_compiler.errors import InputError, MemoryBudgetError
from fastism_compiler.genomics.errors import Refusals
from fastism_compiler.runs.damage import find_damage
from fastism_compiler.runs.digest import Digest
from fastism_compiler.runs.errors import RunError, StoreError
from fastism_compiler.runs.jobs import VERSION, Input, Job, Scorer, format_of, scorer_of, scorer_with, settings_of
from fastism_compiler.runs.journal import total_counts
from fastism_compiler.runs.layout import rows_per_task
from fastism_compiler.runs.left_out import write_left_out
from fastism_compiler.runs.manifest import manifest_path, read_manifest, versions, write_manifest
from fastism_compiler.runs.mend import mend, restore_root
from fastism_compiler.runs.settings import Settings
from fastism_compiler.runs.store import ATTRIBUTES, Store, batches

Progress = Callable[[int, int], None]
"""Called with finished rows and all rows."""

_REPORT_S = 0.2
IDENTITY = ("format", "version", "settings", "model", "input", "versions")
"""Attributes that must be the same for a run to go on with a store."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did.

    Attributes:
        output: the store.
        complete: whether every result is there (other shards may still be at work).
        tasks: tasks of the whole run.
        computed: tasks that this process, or its workers, computed.
        counts: rows by kind, what was left out by reason, scores that are no numbers, rows scored by the model.
        messages: the first refusal of each kind.
        mended: files of the store that were damaged or missing, and are made anew.
        warnings: what was scored, but may be a mistake.
    """

    output: str
    complete: bool
    tasks: int
    computed: int
    counts: dict[str, int]
    messages: list[str] = field(default_factory=list)
    mended: int = 0
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


@dataclass
class Run:
    """A store and what fills it, in one process.

    Attributes:
        store: prepared.
        scorer: compiled with the block size of the store.
    """

    store: Store
    scorer: Scorer
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        plan = self.store.journal.plan or {}
        self.rows, self.per_task = int(plan["rows"]), int(plan["rows_per_task"])
        self.tasks = range(-(-self.rows // self.per_task))
        self._files = plan["files"]
        self._columns = list(self.scorer.layout().columns)

    def do(self, task: int) -> None:
        """Compute one task, and record it once its results are on disk.

        Raises:
            RunError: the results cannot be written.
        """
        begin = task * self.per_task
        with self._one_at_a_time:  # so that no other task adds to the counts of this one
            rows = self.store.read_rows(self._columns, begin, min(begin + self.per_task, self.rows), self._files)
            scored = self.scorer(rows)
        with writing(self.store.path):
            files = self.store.write_rows(task, begin, scored.arrays)
            self.store.journal.finish(task, scored.counts, files)

    def work(self, tasks: Sequence[int], progress: Progress | None = None) -> int:
        """Compute those of `tasks` that are neither finished nor claimed by others; return how many."""
        computed, shown = 0, 0.0
        for task in tasks:
            try:
                with self.store.journal.claim(task) as mine:
                    if mine:
                        self.do(task)
                        computed += 1
            except FileNotFoundError:
                if self.store.complete:  # another run finished it, and took the journal away
                    break
                raise
            if progress is not None and time.monotonic() - shown > _REPORT_S:
                progress(self.done(), self.rows)
                shown = time.monotonic()
        if progress is not None:
            progress(self.done(), self.rows)
        return computed

    def done(self) -> int:
        """Rows of finished tasks."""
        if self.store.complete:
            return self.rows
        return min(len(self.store.journal.finished()) * self.per_task, self.rows)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A store that is ready for its tasks.

    Attributes:
        store: with the input in it.
        scorer: compiled with its block size.
        found: what reading the input found out.
        mended: number of damaged files; the manifest is checked later (see `mend_manifest`).
    """

    store: Store
    scorer: Scorer
    found: Input
    mended: int = 0


def prepare(job: Job, output: Path, *, verify: bool, join: bool) -> Prepared:
    """Compile the model, and read the input into the store, or compare it with what a store already holds.

    Damaged files of an existing store are mended; tasks whose results are
    damaged are left to be computed. Unless the store is complete, this process
    is registered in the journal on return (until `leave`).

    Raises:
        FastISMError: an input, a model or settings that cannot be used.
        StoreError: a store of another run, or one where another process is at work.
        RunError: the store cannot be written.
    """
    store = Store(output)
    with writing(output):
        mended = restore_root(store) if output.is_dir() else 0
    store.check_place()
    if store.complete and not find_damage(store, contents=not join).all:
        return _compared(job, store, verify, mended)
    scorer = scorer_of(job.model, job.settings, store.attributes.get("block"), verify)
    with writing(output):
        store.journal.open()
    try:
        with store.journal.setting_up():
            return _entered(job, store, scorer, join, mended)
    except FileNotFoundError:  # another run has just finished the store, and taken the journal away
        if not store.complete:
            raise
        return _compared(job, store, verify, mended)


def _entered(job: Job, store: Store, scorer: Scorer, join: bool, mended: int) -> Prepared:
    """Register in the journal, and make sure that the input is in the store."""
    journal = store.journal
    journal.enter(join=join)
    try:
        if not (join or store.complete or _plan_is_whole(store)):
            _compare(job, store, scorer)
            journal.forget_plan()
            mended += 1
        # another run may have finished the store while this one compiled: then there is no plan any more
        if journal.plan is None and not store.complete:
            found = _fill(job, store, scorer)
        else:
            found = _compare(job, store, scorer)
            unheard = Input(Refusals(job.settings.skip))
            with writing(store.path):
                mended += mend(store, scorer.layout(), lambda: job.rows(scorer.programs, unheard), contents=not join)
        return Prepared(store, _with_block(scorer, job.settings, store.attributes), found, mended)
    except BaseException:
        journal.leave()
        raise


def _plan_is_whole(store: Store) -> bool:
    try:
        _ = store.journal.plan
    except StoreError:
        return False
    return True


def _with_block(scorer: Scorer, settings: Settings, attributes: Mapping[str, Any]) -> Scorer:
    """The scorer with the block size of the store: bits depend on it, so all processes of a run have the same."""
    block = attributes["block"]
    if scorer.programs.block != block:
        scorer = scorer_with(scorer.programs.with_block(block), settings)
    if scorer.programs.block != block:
        raise MemoryBudgetError(
            "the store was begun with a block size that does not fit the memory that is free now",
            expected=f"room for {block} sequences at once",
            got=scorer.programs.block,
        )
    return scorer


def _check_model(scorer: Scorer, attributes: Mapping[str, Any]) -> None:
    """Refuse a model that is not the one that the store was begun with.

    Raises:
        StoreError: another model.
    """
    there, ours = attributes.get("model"), scorer.programs.digest
    if there != ours:
        raise StoreError("the store was made with another model; choose another output", expected=there, got=ours)


def _compared(job: Job, store: Store, verify: bool, mended: int) -> Prepared:
    scorer = scorer_of(job.model, job.settings, store.attributes["block"], verify)
    return Prepared(store, scorer, _compare(job, store, scorer), mended)


def finish(prepared: Prepared, job: Job) -> dict[str, int] | None:
    """Mark the store complete and write the manifest, if every task is done; the counts of the whole run, or None."""
    store, found = prepared.store, prepared.found
    counts = dict(found.counts) | {f"left out: {rule}": n for rule, n in sorted(found.refusals.counts.items())}
    if not store.complete:
        try:
            with store.journal.setting_up():
                # while this one waited for the lock, another run may have done it
                if not store.complete and not _completed(store, counts, job, found.refusals):
                    return None
        except FileNotFoundError:  # or removed the journal already
            if not store.complete:
                raise
    store.journal.leave()
    store.journal.remove()
    return dict(store.attributes["counts"])


def _completed(store: Store, counts: dict[str, int], job: Job, refusals: Refusals) -> bool:
    """Mark the store complete, unless a task is missing."""
    plan = store.journal.plan or {}
    if len(store.journal.finished()) < plan["tasks"]:
        return False
    tasks = [store.journal.record(task) for task in range(plan["tasks"])]
    records = [{"counts": task["counts"], "files": task["files"]} for task in tasks]
    end = {
        "counts": dict(sorted((counts | total_counts(records)).items())),
        "files": plan["files"],
        "tasks": records,
        "complete": True,
    }
    with writing(store.path):
        write_left_out(store.path, refusals)
        # the manifest is written first, so that the attributes can be restored from it
        write_manifest(store.path, _manifest({**store.attributes, **end}, job, refusals))
        store.finish(end)
    return True


def mend_manifest(prepared: Prepared, job: Job) -> int:
    """Write the manifest of a complete store again if it is damaged; how many files were mended."""
    store = prepared.store
    try:
        read_manifest(store.path)
    except FileNotFoundError:  # the store may have been moved without it
        return 0
    except StoreError:
        with writing(manifest_path(store.path)):
            write_manifest(store.path, _manifest(store.attributes, job, prepared.found.refusals))
        return 1
    return 0


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say what to do about a disk that is full or cannot be written.

    Raises:
        RunError: in place of an OSError, except one for a file that is gone.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RunError(
            "the store cannot be written; what is finished is kept, and the same command goes on from there",
            expected=f"room and permission to write {path}",
            got=error.strerror or error,
        ) from error


def _fill(job: Job, store: Store, scorer: Scorer) -> Input:
    """Read the input into a new store."""
    found, layout = Input(Refusals(job.settings.skip)), scorer.layout()
    with writing(store.path):
        manifest_path(store.path).unlink(missing_ok=True)  # of a store that was here before
        store.journal.restore({})  # nothing is finished: creating takes results away too
        count, digest = store.create(layout, job.rows(scorer.programs, found))
        _check_count(count, found)
        block = scorer.programs.block_for(count)
        per_task = rows_per_task(layout, block, count)
        store.make_room(layout, count, per_task)
        programs = scorer.programs
        store.set_attributes(
            {
                **_identity(job, programs.digest, digest),
                "alphabet": programs.encoding.alphabet.letters,
                "score": job.settings.score,
                "outputs": layout.outputs,
                "numbers": layout.numbers,
                "chromosomes": found.chromosomes,
                "rows": count,
                "rows_per_task": per_task,
                "block": block,
                "complete": False,
            }
        )
        store.sync()
        store.journal.write_plan(count, per_task, store.entries())
    return found


def _compare(job: Job, store: Store, scorer: Scorer) -> Input:
    """Refuse a store that was begun with another input, model, settings or versions."""
    found, digest = Input(Refusals(job.settings.skip)), Digest()
    for batch in batches(job.rows(scorer.programs, found), scorer.layout().columns):
        digest.add(batch)
    attributes = store.attributes
    ours = _identity(job, scorer.programs.digest, str(digest))
    for key in IDENTITY:
        there = attributes.get(key)
        if key == "settings" and isinstance(there, dict):
            there = {**type(job.settings)().to_json(), **there}  # stores of earlier versions lack newer settings
        if _comparable(there) != _comparable(ours[key]):
            raise StoreError(
                f"the store was made with another {key}; choose another output, or delete it",
                expected=_difference(there, ours[key]),
                got=_difference(ours[key], there),
            )
    return found


def _identity(job: Job, model: Mapping[str, str], digest: str) -> dict[str, Any]:
    return {
        "format": format_of(job.settings),
        "version": VERSION,
        "settings": job.settings.to_json(),
        "model": dict(model),
        "input": digest,
        "versions": versions(),
    }


def _comparable(value: Any) -> Any:
    """What has to be equal: digests tell models and genes apart, so that their files may lie elsewhere."""
    return {k: v for k, v in value.items() if k not in ("also", "genes")} if isinstance(value, dict) else value


def _difference(one: Any, other: Any) -> Any:
    """Of two dicts, the entries of the first that the second does not have."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {k: v for k, v in one.items() if other.get(k) != v}
    return one


def _check_count(count: int, found: Input) -> None:
    if count == 0:
        first = next(iter(found.refusals.first.values()), "nothing was read")
        raise InputError("nothing is left to score", expected="at least one sequence or variant", got=first)


def _manifest(attributes: Mapping[str, Any], job: Job, refusals: Refusals) -> dict[str, Any]:
    kept = {key: attributes[key] for key in ATTRIBUTES if key in attributes}
    return {**kept, "sources": job.sources, "first_refusals": dict(sorted(refusals.first.items()))}


def reopen(path: Path, models: Sequence[str]) -> Run:
    """Open a prepared store in another process.

    Args:
        path: of the store.
        models: paths of the model, and of those that are combined with it: not where the store's first command read
            them, from which they may have been moved.

    Raises:
        StoreError: a store that is not prepared, or made with another model.
    """
    store = Store(path)
    attributes = store.attributes
    if store.journal.plan is None:
        raise StoreError("the store is not prepared", got=str(path))
    settings = replace(settings_of(attributes), also=tuple(models[1:]))
    scorer = scorer_of(models[0], settings, attributes["block"])
    _check_model(scorer, attributes)
    return Run(store, scorer)
