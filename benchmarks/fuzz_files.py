"""The fuzzer of the readers: damaged files of every kind, read in one process, judged by what must hold.

python -m benchmarks.fuzz_files                          # 20,000 inputs; a failing one is kept in fuzz_files_failures/
python -m benchmarks.fuzz_files --inputs 500 --only in.vcf
python -m benchmarks.fuzz_files --only in.vcf --number 17     # one input again

What must hold of every input: it is read, or refused by an error of this
package; records in front of the damage are the same; a file with checksums
is refused, or nothing in it has changed; time and memory keep to a limit.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from fastism_compiler.ir.errors import FastISMError

from benchmarks.file_damage import first_difference
from benchmarks.file_targets import TARGETS, Target, damage

SECONDS = 10
"""Time limit of one input."""
MEMORY = 1 << 30
"""Bytes by which one input may raise the peak memory of the process."""
CHUNK = 500
"""Inputs per process."""
_NUMBER = re.compile(r"\b(0x)?[0-9a-f]*[0-9][0-9a-f]*\b")
"""Rules are counted whatever numbers they name."""
_LONGEST = 4000
"""Longest error message allowed, in characters."""


class TooSlow(BaseException):
    """An input took too long; nothing may catch it."""


@dataclass
class Outcome:
    """Some inputs of one target.

    Attributes:
        read: inputs that were read to their end.
        refused: inputs that were refused, by rule.
        failures: what was wrong with which input.
        slowest_s: of one input.
    """

    read: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, Any]] = field(default_factory=list)
    slowest_s: float = 0.0


@dataclass(frozen=True)
class Good:
    """The undamaged file: its bytes (empty for a folder), what is read from it, and where each record ends."""

    path: Path
    data: bytes
    items: list[Any]
    ends: list[int]


def make_good(target: Target, folder: Path) -> Good:
    """Write the good file, unless it is there, and read it."""
    path, places = folder / target.name, folder / f"{target.name}.ends"
    if not places.exists():
        places.write_text(json.dumps(target.write(path)))
    items = list(target.read(path, False))
    return Good(path, b"" if path.is_dir() else path.read_bytes(), items, json.loads(places.read_text()))


def judge(target: Target, good: Good, bad: Path, data: bytes) -> tuple[str | None, str | None]:
    """Read a damaged file: the rule it was refused by, and what is wrong with how it was read."""
    items, error = _collect(target, bad, skip=False)
    rule = getattr(error, "fault", error.rule) if isinstance(error, FastISMError) else None
    before = 0 if good.path.is_dir() else first_difference(good.data, data)
    return rule, (
        _judge_error(error)
        or _judge_records(target, good, before, items, error is None)
        or (_judge_lines(target, good, bad, data, before) if target.lines else None)
    )


def _judge_error(error: BaseException | None) -> str | None:
    if error is None:
        return None
    if isinstance(error, TooSlow):
        return f"more than {SECONDS} s"
    if not isinstance(error, FastISMError):
        return f"{type(error).__name__}: {error}"[:_LONGEST]
    text = str(error)
    if len(text) > _LONGEST or "fit into memory" in text:
        return f"a message of {len(text)} characters: {text[:300]}"
    return None


def _judge_records(target: Target, good: Good, before: int, items: list[Any], complete: bool) -> str | None:
    """What is wrong with records in front of the damage, or None; `before`: undamaged bytes at the beginning."""
    if target.checked:
        return "damage that checksums should have shown" if complete and items != good.items else None
    safe = sum(end <= before for end in good.ends)
    if items[:safe] != good.items[: min(safe, len(items))]:
        return "a record in front of the damage has changed"
    if len(items) < safe and (target.streams or complete):
        return f"{safe - len(items)} records in front of the damage are missing"
    return None


def _judge_lines(target: Target, good: Good, bad: Path, data: bytes, before: int) -> str | None:
    """What is wrong with records of undamaged lines where damaged lines are left out, or None."""
    head = good.data.find(b"chr1\t")
    if before < head:  # a damaged header changes how all other lines are read
        return None
    items, error = _collect(target, bad, skip=True)
    if error is not None:
        return _judge_error(error)
    records = dict(zip(good.data[head:].split(b"\n"), good.items, strict=False))
    kept = Counter(records[line] for line in data.split(b"\n") if line in records)
    lost = kept - Counter(items)
    return f"{lost.total()} undamaged lines are missing or changed" if lost else None


def _collect(target: Target, path: Path, skip: bool) -> tuple[list[Any], BaseException | None]:
    items = []
    try:
        with _limited():
            for item in target.read(path, skip):
                items.append(item)
    except (Exception, TooSlow) as error:
        return items, error
    return items, None


@contextmanager
def _limited() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run_chunk(target: Target, numbers: range, seed: int, folder: Path, kept: Path) -> Outcome:
    """Damage and read some inputs in this process; those that fail are kept."""
    good, outcome = make_good(target, folder), Outcome()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        bad = Path(scratch) / target.name
        if target.heavy and not good.path.is_dir():  # imports that only refusals need are done before timing
            bad.write_bytes(b"damaged")
            with suppress(FastISMError):
                list(target.read(bad, False))
        for number in numbers:
            data = damage(target, Random(f"{seed} {target.name} {number}"), good.path, bad)
            started, memory = time.perf_counter(), _memory()
            rule, wrong = judge(target, good, bad, data)
            outcome.slowest_s = max(outcome.slowest_s, time.perf_counter() - started)
            if wrong is None and _memory() - memory > MEMORY:
                wrong = f"{(_memory() - memory) >> 20} MiB of memory"
            if wrong is not None:
                outcome.failures.append({"target": target.name, "number": number, "seed": seed, "wrong": wrong})
                _keep(bad, kept / f"{number}-{target.name}")
            elif rule is None:
                outcome.read += 1
            else:
                outcome.refused[_NUMBER.sub("N", rule)] += 1
            shutil.rmtree(scratch)
            os.mkdir(scratch)
    return outcome


def _memory() -> int:
    """The most that this process has held so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _keep(bad: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if bad.is_dir():
        shutil.copytree(bad, place, dirs_exist_ok=True)
    else:
        shutil.copy(bad, place)


def plan(inputs: int, targets: list[Target]) -> list[tuple[Target, range]]:
    """Each target's share of the inputs, in chunks."""
    shares = sum(t.share for t in targets)
    chunks = []
    for target in targets:
        count = -(-inputs * target.share // shares)
        step = CHUNK // 5 if target.heavy else CHUNK
        chunks += [(target, range(i, min(i + step, count))) for i in range(0, count, step)]
    return chunks


def run(inputs: int, seed: int, jobs: int, targets: list[Target], kept: Path) -> dict[str, Any]:
    """Damage and read many inputs in processes of their own, which may crash; return the summary."""
    found: dict[str, Outcome] = {t.name: Outcome() for t in targets}
    with tempfile.TemporaryDirectory(prefix="fuzz-files-") as folder, ThreadPoolExecutor(jobs) as pool:
        for target in targets:  # once, before chunks share them
            _child(target, range(0), seed, Path(folder), kept)
        futures = {pool.submit(_child, t, n, seed, Path(folder), kept): (t, n) for t, n in plan(inputs, targets)}
        for done, future in enumerate(as_completed(futures), 1):
            target, outcome = futures[future][0], future.result()
            ours = found[target.name]
            ours.read += outcome.read
            ours.refused.update(outcome.refused)
            ours.failures += outcome.failures
            ours.slowest_s = max(ours.slowest_s, outcome.slowest_s)
            wrong = sum(len(o.failures) for o in found.values())
            print(f"{done} of {len(futures)} chunks, {wrong} failures ({target.name})", flush=True)
    return summarise(found)


def _child(target: Target, numbers: range, seed: int, folder: Path, kept: Path) -> Outcome:
    """Run a chunk in a new process; a crash counts as one failure."""
    chunk = json.dumps([target.name, numbers.start, numbers.stop, seed, str(folder), str(kept)])
    command = [sys.executable, "-m", "benchmarks.fuzz_files", "--chunk", chunk]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        wrong = f"exit code {done.returncode}: {done.stderr[-400:]}"
        return Outcome(failures=[{"target": target.name, "number": [*numbers[:1], *numbers[-1:]], "wrong": wrong}])
    return Outcome(**{**(data := json.loads(lines[-1])), "refused": Counter(data["refused"])})


def summarise(found: dict[str, Outcome]) -> dict[str, Any]:
    """Inputs by target and outcome, refusals by rule, and everything that was wrong."""
    rules: Counter[str] = Counter()
    for outcome in found.values():
        rules.update(outcome.refused)
    by_target = {
        name: {
            "inputs": o.read + o.refused.total() + len(o.failures),
            "read": o.read,
            "refused": o.refused.total(),
            "failures": len(o.failures),
            "slowest_s": round(o.slowest_s, 2),
        }
        for name, o in found.items()
    }
    return {
        "inputs": sum(t["inputs"] for t in by_target.values()),
        "targets": by_target,
        "refused": dict(rules.most_common()),
        "failures": [f for o in found.values() for f in o.failures],
    }


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit code 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--only", action="append", choices=[t.name for t in TARGETS], help="these targets (repeatable)")
    parser.add_argument("--number", type=int, help="this one input of the target of --only")
    parser.add_argument("--kept", type=Path, default=Path("fuzz_files_failures"), help="folder for what fails")
    parser.add_argument("--json", type=Path, help="also write the summary here")
    parser.add_argument("--chunk", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.chunk:
        name, first, last, seed, folder, kept = json.loads(options.chunk)
        target = next(t for t in TARGETS if t.name == name)
        print(json.dumps(vars(run_chunk(target, range(first, last), seed, Path(folder), Path(kept)))))
        return 0
    targets = [t for t in TARGETS if not options.only or t.name in options.only]
    started = time.perf_counter()
    if options.number is not None:
        with tempfile.TemporaryDirectory() as folder:
            numbers = range(options.number, options.number + 1)
            outcomes = {t.name: run_chunk(t, numbers, options.seed, Path(folder), options.kept) for t in targets}
            summary = summarise(outcomes)
    else:
        summary = run(options.inputs, options.seed, options.jobs, targets, options.kept)
    summary.update(seed=options.seed, seconds=round(time.perf_counter() - started, 1))
    print(json.dumps(summary, indent=2))
    if options.json:
        options.json.write_text(json.dumps(summary, indent=2) + "\n")
    return int(bool(summary["failures"]))


if __name__ == "__main__":
    raise SystemExit(main())
