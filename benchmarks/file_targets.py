"""What the fuzzer of the readers damages: good files, how each is read, and which records damage must leave alone."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np

import fastism_compiler as fc
from benchmarks.file_damage import BYTES, TEXT, Damage, damaged
from benchmarks.file_options import hostile, read_commands, write_commands
from fastism_compiler.genomics.alphabet import find_alphabet
from fastism_compiler.genomics.arrays import OtherInput, read_arrays
from fastism_compiler.genomics.bed import read_bed
from fastism_compiler.genomics.encoding import Encoding
from fastism_compiler.genomics.errors import Refusals
from fastism_compiler.genomics.fasta import read_fasta
from fastism_compiler.genomics.genes import read_genes
from fastism_compiler.genomics.genome import Genome
from fastism_compiler.genomics.vcf import read_variants

LENGTH = 30
RECORDS = 60
_DNA = find_alphabet("dna")
_ENCODING = Encoding(_DNA, LENGTH, (0, 1, 2, 3))
_VCF = b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
Read = Callable[[Path, bool], Iterator[Any]]
"""`(path, skip)` -> records read; `skip`: leave out records that cannot be scored, instead of refusing the file."""


@dataclass(frozen=True)
class Target:
    """One kind of file.

    Attributes:
        name: also the name of the file or folder.
        share: of all inputs, in thousandths.
        write: writes the good file; returns the end of each record: damage behind it cannot change it (empty: unknown).
        read: yields what is read from a path.
        kinds: what is done to its bytes.
        lines: a record is a line, and lines behind the first are read one by one: undamaged ones give the same
            records, wherever the damage is.
        streams: records in front of the damage are read even where the file is refused.
        checked: it has checksums, so damage is found or without consequence.
        heavy: TensorFlow reads it.
    """

    name: str
    share: int
    write: Callable[[Path], list[int]]
    read: Read
    kinds: Sequence[Damage] = TEXT
    lines: bool = False
    streams: bool = True
    checked: bool = False
    heavy: bool = False


def _sequences() -> list[str]:
    rng = Random(1)
    return ["".join(rng.choices("ACGT", k=LENGTH)) for _ in range(RECORDS)]


def _ends(pieces: Sequence[bytes], head: bytes = b"") -> tuple[bytes, list[int]]:
    """The file that pieces make, and where each of them ends."""
    data, ends = head, []
    for piece in pieces:
        data += piece
        ends.append(len(data))
    return data, ends


def _write_lines(head: bytes, pieces: Sequence[bytes]) -> Callable[[Path], list[int]]:
    def write(path: Path) -> list[int]:
        data, ends = _ends(pieces, head)
        path.write_bytes(data)
        return ends

    return write


def _write_fasta(path: Path) -> list[int]:
    names = [f">s{i}\n".encode() for i in range(RECORDS + 1)]
    bodies = [f"{s[:17]}\n{s[17:]}\n".encode() for s in _sequences()]
    # a record ends where the next one begins
    data, ends = _ends([body + name for body, name in zip(bodies, names[1:], strict=True)], names[0])
    path.write_bytes(data[: -len(names[-1])])
    return [*ends[:-1], len(data) + 1]


def _write_bgzip(plain: Callable[[Path], list[int]]) -> Callable[[Path], list[int]]:
    def write(path: Path) -> list[int]:
        plain(path)
        pack(path, path.read_bytes())
        return []

    return write


def pack(path: Path, data: bytes) -> None:
    """Write a bgzip file, in blocks of 500 bytes."""
    from Bio import bgzf

    with bgzf.BgzfWriter(str(path)) as writer:
        for begin in range(0, len(data), 500):
            writer.write(data[begin : begin + 500])
            writer.flush()


def _variant_lines(vcf: bool) -> list[bytes]:
    rng = Random(2)
    lines = []
    for i in range(RECORDS):
        reference, alternate = rng.sample("ACGT", 2)
        tail = (f"rs{i}", reference, alternate, ".", "PASS", "DP=3") if vcf else (reference, alternate)
        lines.append("\t".join(("chr1", str(10 + 3 * i), *tail)).encode() + b"\n")
    return lines


def _region_lines() -> list[bytes]:
    return [f"chr1\t{10 * i}\t{10 * i + 5 + i % 7}\tregion_{i}\t0\t{'+-'[i % 2]}\n".encode() for i in range(RECORDS)]


_GENES = b"#NAME\tCHROM\tSTRAND\tTX_START\tTX_END\tEXON_START\tEXON_END\n"


def _gene_lines(bed: bool) -> list[bytes]:
    """Two exons each, every other gene over the one before it."""
    lines = []
    for i in range(RECORDS):
        start, strand = 20 * i, "+-"[i % 2]
        if bed:
            cells = ["chr1", start, start + 30, f"g{i}", 0, strand, start, start + 30, 0, 2, "10,5,", "0,25,"]
        else:
            cells = [f"g{i}", 1, strand, start, start + 30, f"{start},{start + 25},", f"{start + 10},{start + 30},"]
        lines.append("\t".join(map(str, cells)).encode() + b"\n")
    return lines


def _read_genes(path: Path, _: bool) -> Iterator[Any]:
    for gene in read_genes(path):
        yield gene.name, gene.chrom, gene.strand, gene.start, gene.end, gene.boundaries


def _one_hot() -> Any:
    codes = np.stack([_DNA.codes(text) for text in _sequences()])
    return _DNA.one_hot(codes)


def _write_npy(path: Path) -> list[int]:
    np.save(path, _one_hot())
    size = 4 * LENGTH * 4
    begin = path.stat().st_size - RECORDS * size
    return [begin + (i + 1) * size for i in range(RECORDS)]


def _write_npz(path: Path) -> list[int]:
    with path.open("wb") as file:
        np.savez(file, x=_one_hot(), cell=np.arange(RECORDS)[:, None] % 5, dose=np.linspace(0, 1, RECORDS)[:, None])
    return []


def _write_genome(path: Path) -> list[int]:
    sequences = ["".join(_sequences()) * n for n in (1, 2, 1)]
    records = []
    for number, text in enumerate(sequences):
        lines = "\n".join(text[i : i + 60] for i in range(0, len(text), 60))
        records.append(f">chr{number + 1}\n{lines}\n".encode())
    data, ends = _ends(records)
    path.write_bytes(data)
    return [*(end + 1 for end in ends[:-1]), len(data) + 1]


def _write_bcf(path: Path) -> list[int]:
    """Compressed, or (`raw.bcf`) not, so that damage reaches the parser and is not caught by a checksum."""
    import cyvcf2

    text = path.with_suffix(".text.vcf")
    header = b'##contig=<ID=chr1>\n##INFO=<ID=DP,Number=1,Type=Integer,Description="">\n#CHROM'
    text.write_bytes(_VCF.replace(b"#CHROM", header) + b"".join(_variant_lines(vcf=True)))
    reader = cyvcf2.VCF(str(text))
    writer = cyvcf2.Writer(str(path), reader, mode="wb")
    for record in reader:
        writer.write_record(record)
    writer.close()
    if path.name == "raw.bcf":
        path.write_bytes(gzip.decompress(path.read_bytes()))
    return []


def _read_genome(path: Path, _: bool) -> Iterator[Any]:
    with Genome(path) as genome:
        for name, length in genome.lengths.items():
            yield name, length, genome.fetch(name, 0, length), genome.fetch(name, length - 5, length + 5)


def _read_fasta(path: Path, skip: bool) -> Iterator[Any]:
    for record in read_fasta(path, _ENCODING, Refusals(skip)):
        yield record.name, record.codes.tobytes()


def _read_arrays(path: Path, skip: bool) -> Iterator[Any]:
    others = {"cell": OtherInput((1,), "int32", 5), "dose": OtherInput((1,), "float32")}
    for record in read_arrays(path, _ENCODING, Refusals(skip), "x", others if path.suffix == ".npz" else {}):
        yield record.name, record.codes.tobytes(), *(v.tobytes() for v in record.inputs.values())


def _read_regions(path: Path, skip: bool) -> Iterator[Any]:
    for region in read_bed(path, Refusals(skip)):
        yield region.chrom, region.start, region.end, region.name, region.strand


def _read_variants(path: Path, skip: bool) -> Iterator[Any]:
    for v in read_variants(path, "ACGT", Refusals(skip)):
        yield v.chrom, v.position, v.ref, v.alt


@cache
def _model() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((LENGTH, 4), name="sequence")
    y = keras.layers.Conv1D(3, 5, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Dense(2, name="head")(keras.layers.GlobalMaxPooling1D()(y)))


def _write_model(path: Path) -> list[int]:
    _model().save(path)
    return []


def _read_model(path: Path, _: bool) -> Iterator[Any]:
    from fastism_compiler.frontend.keras.loading import load_model

    model = load_model(path)
    yield tuple(w.tobytes() for w in model.get_weights())


def _write_program(path: Path) -> list[int]:
    fc.compile(_model(), jit=False, verify=False).export(path, "ism")
    return []


def _read_program(path: Path, _: bool) -> Iterator[Any]:
    yield fc.load(path).reference(_one_hot()[:2]).tobytes()


def _write_store(path: Path) -> list[int]:
    folder = path.parent / "for_store"
    folder.mkdir()
    _model().save(folder / "model.keras")
    _write_fasta(folder / "in.fa")
    fc.scan(folder / "model.keras", folder / "in.fa", path, execution=fc.Execution(verify=False))
    return []


def _read_store(path: Path, _: bool) -> Iterator[Any]:
    from fastism_compiler.plot.scan import open_scan

    scan = open_scan(path)
    output = scan.output("head:1")
    drawn = [scan.saturation(row, output).effects.tobytes() for row in (0, scan.count - 1)]
    table = path.with_name(f"{path.name}.tsv")
    try:
        fc.convert(path, table, "tsv")
        yield table.read_bytes(), *drawn
    finally:
        for written in (table, Path(f"{table}.manifest.json")):
            written.unlink(missing_ok=True)


_OPTIONS = (
    "--ranges 10-20,25-30", "--window 7", "--outputs head:0-2:1", "--outputs 0:*", "--channels 3,0,1,2", "--shard 1/8",
    "--seq-input 0", "--length 30", "--pseudocount 0.5 --score log2fc", "--batch-size 16", "--threads 2",
    "--unknown-token 4", "--workers 1", "--reduce sum", "--alphabet rna",
)  # fmt: skip


def _write_options(path: Path) -> list[int]:
    path.write_text("\n".join(_OPTIONS))
    return []


def _read_options(path: Path, _: bool) -> Iterator[Any]:
    """Each line as options of `scan`, up to where a model would be compiled."""
    from click.testing import CliRunner

    from fastism_compiler.cli import main
    from fastism_compiler.mutations.inputs import check_length
    from fastism_compiler.runs.outputs import choose_outputs

    def scan(model: str, *_: Any, settings: Any, execution: Any, **__: Any) -> Any:
        settings.check()
        execution.check(model)
        check_length(settings.length)
        settings.change_ranges(LENGTH)
        choose_outputs(settings.outputs, ["head", "tail"])
        raise fc.RunError("checked")

    with ExitStack() as stack:
        stack.enter_context(patch.object(fc, "scan", scan, create=True))
        for line in path.read_bytes().replace(b"\x00", b"").decode("utf-8", "surrogateescape").split("\n"):
            arguments = ["scan", __file__, "in.fa", "out", *line.split(" ")]
            result = CliRunner().invoke(main, arguments)
            if (
                not isinstance(result.exception, SystemExit)
                or "fault of" in result.output
                or "Traceback" in result.output
            ):
                raise AssertionError(f"{line[:200]!r}: {result.exception!r}: {result.output[-300:]}")
    yield None


TARGETS = (
    Target("in.fa", 150, _write_fasta, _read_fasta),
    Target("in.bed", 130, _write_lines(b"", _region_lines()), _read_regions, lines=True),
    Target("in.vcf", 160, _write_lines(_VCF, _variant_lines(vcf=True)), _read_variants, lines=True),
    Target("in.tsv", 110, _write_lines(b"chrom\tpos\tref\talt\n", _variant_lines(vcf=False)), _read_variants,
           lines=True),
    Target("genes.txt", 20, _write_lines(_GENES, _gene_lines(bed=False)), _read_genes),
    Target("genes.bed", 20, _write_lines(b"", _gene_lines(bed=True)), _read_genes),
    Target("packed.vcf.gz", 60, _write_bgzip(_write_lines(_VCF, _variant_lines(vcf=True))), _read_variants, BYTES,
           streams=False, checked=True),
    Target("packed.fa.gz", 40, _write_bgzip(_write_fasta), _read_fasta, BYTES, streams=False, checked=True),
    Target("in.npy", 70, _write_npy, _read_arrays, BYTES, streams=False),
    Target("in.npz", 60, _write_npz, _read_arrays, BYTES, streams=False, checked=True),
    Target("genome.fa", 60, _write_genome, _read_genome, streams=False),
    Target("in.bcf", 20, _write_bcf, _read_variants, BYTES, streams=False, checked=True),
    Target("raw.bcf", 20, _write_bcf, _read_variants, BYTES, streams=False),
    Target("options", 30, _write_options, _read_options),
    Target("commands", 20, write_commands, read_commands, (hostile,), streams=False),
    Target("scan.zarr", 25, _write_store, _read_store, BYTES, streams=False, checked=True, heavy=True),
    Target("model.keras", 15, _write_model, _read_model, BYTES, streams=False, checked=True, heavy=True),
    Target("program.ism", 10, _write_program, _read_program, BYTES, streams=False, checked=True, heavy=True),
)  # fmt: skip


def damage(target: Target, rng: Random, good: Path, bad: Path) -> bytes:
    """Write a damaged copy of a good file or folder; the damaged bytes."""
    if not good.is_dir():
        data = damaged(rng, good.read_bytes(), target.kinds)
        bad.write_bytes(data)
        return data
    shutil.copytree(good, bad)
    chosen = rng.choice(sorted(p for p in bad.rglob("*") if p.is_file()))
    if rng.random() < 0.1:
        chosen.unlink()
        return b""
    data = damaged(rng, chosen.read_bytes(), target.kinds)
    chosen.write_bytes(data)
    return data
