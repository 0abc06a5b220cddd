"""`scan`: every mutation of many sequences, from files into a store."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from fastism_compiler.arguments import instance, path
from fastism_compiler.formats import LETTERS, RANGES, check_wanted, convert
from fastism_compiler.genomics.alphabet import UNKNOWN
from fastism_compiler.genomics.arrays import is_array_file, read_arrays
from fastism_compiler.genomics.fasta import read_fasta
from fastism_compiler.genomics.genome import Genome
from fastism_compiler.genomics.records import Record
from fastism_compiler.genomics.regions import Windows, read_regions
from fastism_compiler.genomics.sources import Source
from fastism_compiler.genomics.vcf import is_variant_file
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.runs.execution import execute
from fastism_compiler.runs.jobs import Input
from fastism_compiler.runs.layout import Row
from fastism_compiler.runs.programs import Programs
from fastism_compiler.runs.run import Progress, Summary
from fastism_compiler.runs.settings import Execution, ScanSettings


@dataclass(frozen=True)
class ScanJob:
    """Sequences to scan.

    Attributes:
        model: a model, or the path of a `.keras`, `.h5` or `.onnx` file or a SavedModel.
        settings: of the scan.
        source: FASTA, BED (with a genome), npz or npy.
        genome: FASTA that the regions lie on.
    """

    model: Any
    settings: ScanSettings
    source: Source
    genome: Source | None = None

    @property
    def sources(self) -> dict[str, str]:
        """Names of the files that are read, and the digest of the one that was read in full."""
        return named({"sequences": self.source, "genome": self.genome}, read_in_full="sequences")

    def rows(self, programs: Programs, found: Input) -> Iterator[Row]:
        """The rows of the store, one per sequence.

        Raises:
            FileError: see the readers.
            OptionError: settings that this model cannot have.
        """
        check_strands(programs)
        for record in self._records(programs, found):
            unknown = int((record.codes == UNKNOWN).sum())
            found.counts["sequences"] += 1
            found.counts["unknown letters"] += unknown
            found.counts["sequences with unknown letters"] += unknown > 0
            columns = ("name", "chrom", "start", "end", "strand")
            row = {"sequence": record.codes} | {name: getattr(record, name) for name in columns}
            yield row | {f"inputs/{name}": values for name, values in record.inputs.items()}

    def _records(self, programs: Programs, found: Input) -> Iterator[Record]:
        source, encoding, pad = self.source, programs.encoding, self.settings.pad
        if is_array_file(source):
            if self.genome is not None:
                raise OptionError("arrays lie on no genome", expected="no --genome", got=str(self.genome.path))
            name = programs.forward.inputs.names[programs.forward.inputs.sequence]
            yield from read_arrays(source, encoding, found.refusals, name, programs.other_inputs)
            return
        if is_variant_file(source):
            raise OptionError("a scan takes sequences or regions", expected="scan_variants (variants)", got=source.path)
        if programs.other_inputs:
            raise OptionError(
                "the model has more inputs than a sequence, which only an npz file can hold",
                expected="npz with an array for each input, by name",
                got=f"{source.path.name}, for inputs {[*programs.forward.inputs.names]}",
            )
        if self.genome is None:
            if ".bed" in (s.lower() for s in source.path.suffixes):
                raise OptionError("regions lie on a genome", expected="--genome GENOME.fa", got="none")
            yield from read_fasta(source, encoding, found.refusals, pad=pad)
            return
        with Genome(self.genome, self.settings.aliases) as genome:
            windows = Windows(genome, encoding, source.path, pad)
            for record in read_regions(source, windows, found.refusals):
                found.chromosomes.setdefault(record.chrom, genome.lengths[record.chrom])
                yield record


def named(files: Mapping[str, Source | None], *, read_in_full: str) -> dict[str, str]:
    """Names of input files for the manifest, and the SHA-256 of the one whose every byte was read.

    Only regions of a genome are read, so it has no SHA-256 here.
    """
    names = {role: source.path.name for role, source in files.items() if source is not None}
    whole = files[read_in_full]
    return names | ({f"{read_in_full} sha256": whole.digest} if whole is not None and whole.digest is not None else {})


def check_strands(programs: Programs) -> None:
    """Refuse settings that have no meaning for this model.

    Raises:
        OptionError: `rc` with other inputs, or with outputs of more than one axis; ranges without an unknown letter.
    """
    settings = programs.settings
    if settings.rc and programs.other_inputs:
        raise OptionError(
            "rc= does not know the reverse complement of the model's other inputs", got=programs.other_inputs
        )
    long = {name: shape for name, shape in programs.shapes.items() if len(shape) > 1}
    if settings.rc and long and settings.score not in settings.tables():  # which turn profiles round themselves
        raise OptionError(
            "rc= averages outputs that do not run along the sequence; reduce or select the others",
            expected="outputs of at most one axis",
            got=long,
        )
    ranges = isinstance(settings, ScanSettings) and settings.ranges is not None
    if ranges and not programs.encoding.takes_unknown:
        raise OptionError("ranges are replaced by unknown letters", expected="unknown_token", got="none")


def scan(
    model: Any,
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    genome: str | os.PathLike[str] | None = None,
    settings: ScanSettings | None = None,
    execution: Execution | None = None,
    progress: Progress | None = None,
    to: Sequence[tuple[str, str | os.PathLike[str]]] = (),
) -> Summary:
    """Score every mutation of every sequence of a file, into a resumable store.

    The store is a zarr v3 group (read it with `open_scan`). After a crash, the
    same call goes on where it was; a complete store is left as it is. A
    manifest is written beside it: `<output>.manifest.json`.

    Args:
        model: a model, the path of a `.keras`, `.h5` or `.onnx` file or a SavedModel, or a program of `compile`, whose
            model is compiled again for the scan.
        source: FASTA (plain or gzip) with sequences of the model's length; BED
            with `genome`; or npz / npy with one-hot `[N, L, C]` or tokens `[N, L]`.
        output: folder of the store.
        genome: FASTA (plain or bgzip) that the regions of a BED file lie on.
        settings: what is computed (default: delta of every letter at every position).
        execution: who computes it (default: this process).
        progress: called with finished and all sequences.
        to: other formats to write once the store is complete: `(format, path)`.

    Returns:
        What was done.

    Raises:
        InputError: a file, record or line that cannot be scored, by name and line number.
        OptionError, ModelError: settings or a model that cannot be used.
        VerificationError: the compiled model disagrees with naive ISM.
        StoreError: an output that belongs to another run.
        RunError: the store cannot be written, or workers keep dying.
    """
    settings = instance("settings", ScanSettings() if settings is None else settings, ScanSettings)
    execution = instance("execution", Execution() if execution is None else execution, Execution)
    target = path("output", output)
    check_wanted(LETTERS if settings.ranges is None else RANGES, to)
    with ExitStack() as files:
        sequences = files.enter_context(Source(path("source", source)))
        regions_of = None if genome is None else files.enter_context(Source(path("genome", genome)))
        job = ScanJob(path_or_model(model), settings, sequences, regions_of)
        summary = execute(job, target, execution, progress)
    if summary.complete:
        for name, further in to:
            convert(target, further, name)
    return summary


def path_or_model(model: Any) -> Any:
    """A path as text, or the model of a compiled program; anything else is a model.

    Raises:
        OptionError: a program that was compiled with options that a run would not keep.
    """
    if hasattr(model, "for_a_run"):  # a program, whose module imports TensorFlow
        return model.for_a_run()
    return os.fspath(model) if isinstance(model, str | os.PathLike) else model
