"""One run: the input into the store, the tasks through the programs, the manifest beside the result."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fastism_compiler.errors import InputError, MemoryBudgetError
from fastism_compiler.genomics.errors import Refusals
from fastism_compiler.runs.digest import Digest, model_digest
from fastism_compiler.runs.errors import RunError, StoreError
from fastism_compiler.runs.jobs import VERSION, Input, Job, Scorer, format_of, scorer_of, settings_of
from fastism_compiler.runs.layout import rows_per_task
from fastism_compiler.runs.manifest import versions, write_manifest
from fastism_compiler.runs.store import Store, batches

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
    """

    output: str
    complete: bool
    tasks: int
    computed: int
    counts: dict[str, int]
    messages: list[str] = field(default_factory=list)

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
        self._columns = list(self.scorer.layout().columns)

    def do(self, task: int) -> None:
        """Compute one task, and record it once its results are on disk.

        Raises:
            RunError: the results cannot be written.
        """
        begin = task * self.per_task
        with self._one_at_a_time:  # the counts of a task are its own
            rows = self.store.read_rows(self._columns, begin, min(begin + self.per_task, self.rows))
            scored = self.scorer(rows)
        with writing(self.store.path):
            self.store.write_rows(task, begin, scored.arrays)
            self.store.journal.finish(task, scored.counts)

    def work(self, tasks: Sequence[int], progress: Progress | None = None) -> int:
        """Compute those of `tasks` that nobody has finished or is at; how many that were."""
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


def prepare(job: Job, output: Path, *, verify: bool, join: bool) -> tuple[Store, Scorer, Input]:
    """Compile the model, and read the input into the store, or compare it with what a store already holds.

    On return this process is present in the journal (until `leave`).

    Raises:
        FastISMError: an input, a model or settings that cannot be used.
        StoreError: a store of another run, or one where another process is at work.
        RunError: the store cannot be written.
    """
    store = Store(output)
    store.check_place()
    if store.complete:
        return _compared(job, store, verify)
    scorer = scorer_of(job.model, job.settings, store.attributes.get("block"), verify)
    with writing(output):
        store.journal.open()
    try:
        with store.journal.setting_up():
            return store, *_entered(job, store, scorer, join)
    except FileNotFoundError:  # another run has just finished the store, and taken the journal away
        if not store.complete:
            raise
        return _compared(job, store, verify)


def _entered(job: Job, store: Store, scorer: Scorer, join: bool) -> tuple[Scorer, Input]:
    """Be present, and have the input in the store."""
    store.journal.enter(join=join)
    try:
        # another run may have finished the store while this one compiled: then there is no plan any more
        new = store.journal.plan is None and not store.complete
        found = _fill(job, store, scorer) if new else _compare(job, store, scorer)
        return _with_block(scorer, job, store.attributes["block"]), found
    except BaseException:
        store.journal.leave()
        raise


def _with_block(scorer: Scorer, job: Job, block: int) -> Scorer:
    """The scorer with the block size of the store: bits depend on it, so all processes of a run have the same."""
    if scorer.programs.block != block:
        scorer = scorer_of(job.model, job.settings, block)
    if scorer.programs.block != block:
        raise MemoryBudgetError(
            "the store was begun with a block size that does not fit the memory that is free now",
            expected=f"room for {block} sequences at once",
            got=scorer.programs.block,
        )
    return scorer


def _compared(job: Job, store: Store, verify: bool) -> tuple[Store, Scorer, Input]:
    scorer = scorer_of(job.model, job.settings, store.attributes["block"], verify)
    return store, scorer, _compare(job, store, scorer)


def finish(store: Store, found: Input, job: Job) -> dict[str, int] | None:
    """Mark the store complete and write the manifest, if every task is done; the counts of the whole run, or None."""
    counts = dict(found.counts) | {f"left out: {rule}": n for rule, n in sorted(found.refusals.counts.items())}
    if not store.complete:
        try:
            with store.journal.setting_up():
                # whoever waited for the lock may find that the one before has done it all
                if not store.complete and not _completed(store, counts, job, found.refusals):
                    return None
        except FileNotFoundError:  # or has taken the journal away already
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
    counts = counts | store.journal.counts()
    with writing(store.path):
        store.set_attributes({"counts": counts})
        write_manifest(store.path, _manifest(store.attributes, job, counts, refusals))
        store.finish()
    return True


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
        count, digest = store.create(layout, job.rows(scorer.programs, found))
        _check_count(count, found)
        block = scorer.programs.block_for(count)
        per_task = rows_per_task(layout, block, count)
        store.make_room(layout, count, per_task)
        store.set_attributes(_identity(job, digest))
        programs = scorer.programs
        store.set_attributes(
            {
                "alphabet": programs.encoding.alphabet.letters,
                "score": job.settings.score,
                "outputs": [o.name for o in programs.outputs],
                "numbers": programs.numbers,
                "chromosomes": found.chromosomes,
                "rows": count,
                "rows_per_task": per_task,
                "block": block,
                "complete": False,
            }
        )
        store.sync()
        plan = {"rows": count, "rows_per_task": per_task, "tasks": -(-count // per_task)}
        store.journal.write_plan(plan)
    return found


def _compare(job: Job, store: Store, scorer: Scorer) -> Input:
    """Refuse a store that was begun with another input, model, settings or versions."""
    found, digest = Input(Refusals(job.settings.skip)), Digest()
    for batch in batches(job.rows(scorer.programs, found), scorer.layout().columns):
        digest.add(batch)
    attributes = store.attributes
    ours = _identity(job, str(digest))
    for key in IDENTITY:
        there = attributes.get(key)
        if there != ours[key]:
            raise StoreError(
                f"the store was made with another {key}; choose another output, or delete it",
                expected=_difference(there, ours[key]),
                got=_difference(ours[key], there),
            )
    return found


def _identity(job: Job, digest: str) -> dict[str, Any]:
    return {
        "format": format_of(job.settings),
        "version": VERSION,
        "settings": job.settings.to_json(),
        "model": model_digest(job.model),
        "input": digest,
        "versions": versions(),
    }


def _difference(one: Any, other: Any) -> Any:
    """Of two dicts, the entries of the first that the second has not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {k: v for k, v in one.items() if other.get(k) != v}
    return one


def _check_count(count: int, found: Input) -> None:
    if count == 0:
        first = next(iter(found.refusals.first.values()), "nothing was read")
        raise InputError("nothing is left to score", expected="at least one sequence or variant", got=first)


def _manifest(attributes: dict[str, Any], job: Job, counts: dict[str, int], refusals: Refusals) -> dict[str, Any]:
    kept = {key: attributes[key] for key in IDENTITY}
    return {**kept, "sources": job.sources, "counts": counts, "first_refusals": dict(sorted(refusals.first.items()))}


def reopen(path: Path, model: Any) -> Run:
    """A prepared store in another process.

    Raises:
        StoreError: a store that is not prepared, or made with another model.
    """
    store = Store(path)
    attributes = store.attributes
    if store.journal.plan is None or attributes.get("model") != model_digest(model):
        raise StoreError("the store is not prepared for this model", got=str(path))
    return Run(store, scorer_of(model, settings_of(attributes), attributes["block"]))
