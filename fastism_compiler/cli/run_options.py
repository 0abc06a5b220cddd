"""The options that `scan` and `variants` share: how to score, who computes, what to print."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import fastism_compiler as fc
from fastism_compiler import formats
from fastism_compiler.cli.model import ModelOptions
from fastism_compiler.genomics.alphabet import ALPHABETS
from fastism_compiler.genomics.fields import index_number
from fastism_compiler.genomics.sources import GZIP, Source
from fastism_compiler.host.files import beside
from fastism_compiler.host.runtimes import RUNTIMES
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.runs.left_out import left_out_path
from fastism_compiler.runs.run import Progress, Summary
from fastism_compiler.runs.scores import SCORES
from fastism_compiler.runs.settings import REDUCTIONS

_NO_STORES = frozenset(
    (
        ".bcf", ".bed", ".bedgraph", ".bigwig", ".bw", ".csv", ".fa", ".fasta", ".gz", ".h5", ".hdf5", ".html",
        ".ism", ".json", ".keras", ".npy", ".npz", ".onnx", ".pdf", ".png", ".svg", ".tsv", ".txt", ".vcf",
    )
)  # fmt: skip
"""Extensions of other files: the name of a store must not end with one."""
_MOST_FILES = 64
"""Files that one `--to` writes at most; if there are more numbers, `--track` has to choose one."""
FORMATS = tuple(sorted(formats.FORMATS))
_SUFFIXES = {
    "bedgraph": ".bedgraph",
    "bigwig": ".bw",
    "hdf5": ".h5",
    "modisco": ".modisco",
    "tsv": ".tsv",
    "vcf": ".vcf",
}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of a run, as the command line gives them.

    Attributes:
        scoring: fields of `Settings`.
        execution: who computes.
        to: further formats.
        track: the output that these hold; None: all.
        as_json: print the summary as JSON.
        quiet: print nothing but errors.
        verbose: print the first record of each kind that was left out.
    """

    scoring: dict[str, Any]
    execution: fc.Execution
    to: tuple[str, ...]
    track: str | None
    as_json: bool
    quiet: bool
    verbose: bool

    def settings(self, model: ModelOptions) -> dict[str, Any]:
        """Fields of `Settings`, those of the model included."""
        return {**self.scoring, **model.settings}

    def check(self, output: str, kind: str, annotated: Source | None = None) -> None:
        """Refuse, before anything is computed, formats that could not be written afterwards.

        Args:
            output: the store.
            kind: one of those in `formats.HELD`.
            annotated: the VCF that is written again with the scores.

        Raises:
            OptionError: an output named like a file; a further format that does not hold this kind of store, or that
                would replace a file that no conversion has written.
        """
        ending = Path(output).suffix.lower()
        if ending in _NO_STORES:
            raise OptionError(
                "OUTPUT is a zarr store; --to writes other formats beside it",
                expected=f"such as {Path(output).stem}.zarr --to tsv",
                got=output,
            )
        formats.check_wanted(kind, [(name, further_path(Path(output), name, annotated)) for name in self.to])

    def finish(self, summary: Summary, annotated: Source | None = None) -> None:
        """Write the other formats, and say what was done."""
        if summary.complete:
            for name in self.to:
                self._convert(Path(summary.output), name, annotated)
        for warning in () if self.quiet else summary.warnings:
            click.echo(f"Warning: {warning}", err=True)
        if self.as_json:
            click.echo(json.dumps(summary.to_json(), indent=2))
        elif not self.quiet:
            click.echo(_told(summary, self.verbose))

    def _convert(self, store: Path, name: str, annotated: Source | None) -> None:
        """Write a further format: a file per number, if the format holds one per cell and `--track` is not given."""
        single = self.track is None and formats.FORMATS[name].single
        tracks = formats.Source(store).single_tracks if single else []
        if not 1 < len(tracks) <= _MOST_FILES:
            table = annotated if name == "vcf" else None
            fc.convert(store, further_path(store, name, annotated), name, self.track, annotate=table)
            return
        for track in tracks:
            fc.convert(store, converted_path(store, name, track), name, track)


def converted_path(store: Path, name: str, track: str | None = None) -> Path:
    """Where `--to` writes: beside the store, by the ending of the format; with the track where there are several."""
    suffix = "" if track is None else "." + re.sub(r"[^A-Za-z0-9_.-]", ".", track)
    return beside(store, store.name.removesuffix(".zarr") + suffix + _SUFFIXES[name])


def further_path(store: Path, name: str, annotated: Source | None) -> Path:
    """Where `--to` writes: as `converted_path`; an annotated VCF is packed if the file that it came from was."""
    path = converted_path(store, name)
    packed = name == "vcf" and annotated is not None and annotated.first(len(GZIP)) == GZIP
    return beside(path, f"{path.name}.gz") if packed else path


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the shared options; they arrive as one `options: RunOptions`."""

    def run(**values: Any) -> Any:
        scoring = {name: values.pop(name) for name in _SCORING}
        scoring["channels"] = _numbers(scoring["channels"])
        execution = fc.Execution(
            join=values.pop("join"),
            shard=_shard(values.pop("shard")),
            workers=values.pop("workers"),
            threads=values.pop("threads"),
            client=values.pop("dask"),
            verify=values.pop("verify"),
        )
        rest = {name: values.pop(name) for name in ("to", "track", "as_json", "quiet", "verbose")}
        return command(options=RunOptions(scoring, execution, **rest), **values)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    decorated: Any = run
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


_SCORING = (
    "alphabet",
    "channels",
    "unknown_token",
    "outputs",
    "reduce",
    "score",
    "pseudocount",
    "rc",
    "pad",
    "aliases",
    "skip",
    "batch_size",
    "runtime",
)

_OPTIONS = (
    click.option(
        "--alphabet",
        "--letters",
        type=click.Choice(sorted(ALPHABETS)),
        default="dna",
        show_default=True,
        help="Letters.",
    ),
    click.option("--channels", help="Channel, or token, of each letter, such as 3,0,1,2 (default: in order)."),
    click.option(
        "--unknown-token",
        type=click.IntRange(-(1 << 31), (1 << 31) - 1),
        help="Token of an unknown letter, for models that read tokens.",
    ),
    click.option(
        "--outputs",
        multiple=True,
        metavar="NAME[:INDEX]",
        help="Score this output alone (repeatable). INDEX: 3, or 3,7, or 400-600 (600 not included), or *; per axis.",
    ),
    click.option("--reduce", type=click.Choice(REDUCTIONS), help="Reduce every output to one number, on the device."),
    click.option(
        "--score",
        type=click.Choice([*sorted(SCORES), *fc.VariantSettings.tables()]),
        default="delta",
        show_default=True,
        help="What is stored; of variants also profile (variant-scorer's columns) and splice (SpliceAI's).",
    ),
    click.option("--pseudocount", type=float, default=1.0, show_default=True, help="Added to both sides of log2fc."),
    click.option("--rc", is_flag=True, help="Average with the scan of the reverse complement."),
    click.option("--pad", is_flag=True, help="Fill up with N beyond the ends of chromosomes, and short records."),
    click.option(
        "--aliases",
        metavar="auto|FILE",
        help="Other names of chromosomes: auto (chr1 is 1, chrM is MT), or a file with two names in each line.",
    ),
    click.option("--skip", is_flag=True, help="Leave out, and count, what cannot be scored (default: stop there)."),
    click.option("--batch-size", type=click.IntRange(1), help="Most sequences per call (default: by memory)."),
    click.option(
        "--runtime", type=click.Choice(RUNTIMES), default=RUNTIMES[0], show_default=True, help="What runs the program."
    ),
    click.option(
        "--workers", type=click.IntRange(1, 1024), default=1, show_default=True, help="Local processes; one per GPU."
    ),
    click.option(
        "--threads", type=click.IntRange(1, 1024), help="Threads of each process; equal bits need equal threads."
    ),
    click.option("--shard", metavar="I/N", help="Compute the I-th of N parts (from 1), as in a job array."),
    click.option("--dask", metavar="ADDRESS", help="Compute on the workers of this dask scheduler."),
    click.option("--join", is_flag=True, help="Share the work with another run of this command."),
    click.option("--verify/--no-verify", default=True, show_default=True, help="Compare with naive ISM first."),
    click.option("--to", multiple=True, type=click.Choice(FORMATS), help="Write this format too (repeatable)."),
    click.option(
        "--track",
        metavar="NAME[:INDEX]",
        help="The output that --to writes (default: all; a file for each number if a format holds one per cell).",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON."),
    click.option("--quiet", is_flag=True, help="Print nothing but errors."),
    click.option("--verbose", is_flag=True, help="Print the first record of each kind that was left out."),
)


@contextmanager
def progress_bar(what: str, quiet: bool) -> Iterator[Progress | None]:
    """A bar with rate and time left, on standard error, where that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    # rich is imported only if a bar is shown
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task, started = bar.add_task(what, total=None, rate=""), time.monotonic()

        def show(done: int, total: int) -> None:
            rate = done / max(time.monotonic() - started, 1e-9)
            bar.update(task, completed=done, total=total, rate=f"{rate:.3g}/s")

        yield show


def _told(summary: Summary, verbose: bool) -> str:
    state = "complete" if summary.complete else "not complete yet: other parts are missing"
    lines = [f"{summary.output}: {state} ({summary.computed} of {summary.tasks} tasks computed now)"]
    if summary.mended:
        lines.append(f"  damaged or missing files, made anew: {summary.mended}")
    lines += [f"  {name}: {count}" for name, count in summary.counts.items() if count]
    table = left_out_path(Path(summary.output))
    lines += [f"  every record left out: {table}"] if summary.messages and table.is_file() else []
    lines += [f"  first left out: {message}" for message in summary.messages if verbose]
    return "\n".join(lines)


def _numbers(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(_index(n) for n in text.split(","))
    except ValueError:
        raise click.BadParameter(f"numbers between commas, not {text[:80]!r}", param_hint="--channels") from None


def _shard(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    part, _, count = text.partition("/")
    try:
        return _index(part), _index(count)
    except ValueError:
        raise click.BadParameter(f"I/N, such as 1/8, not {text[:80]!r}", param_hint="--shard") from None


def _index(text: str) -> int:
    number = index_number(text.strip())
    if number is None:
        raise ValueError(text)
    return number
