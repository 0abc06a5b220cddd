"""`scan_variants`: the effects of the variants of a file, into a store."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastism_compiler.arguments import instance, path
from fastism_compiler.formats import VARIANTS, check_wanted, convert
from fastism_compiler.formats.annotated import is_annotated
from fastism_compiler.genomics.alleles import Alleles, read_alleles
from fastism_compiler.genomics.errors import FileError
from fastism_compiler.genomics.genes import Genes
from fastism_compiler.genomics.genome import Genome
from fastism_compiler.genomics.regions import Windows
from fastism_compiler.genomics.sources import Source, opened
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.runs.allele_scores import splice_scores
from fastism_compiler.runs.execution import execute
from fastism_compiler.runs.jobs import Input
from fastism_compiler.runs.layout import Row
from fastism_compiler.runs.programs import Programs
from fastism_compiler.runs.run import Progress, Summary
from fastism_compiler.runs.scan import check_strands, named, path_or_model
from fastism_compiler.runs.settings import Execution, VariantSettings


@dataclass(frozen=True)
class VariantJob:
    """Variants to score.

    Attributes:
        model: a model, or the path of a `.keras`, `.h5` or `.onnx` file or a SavedModel.
        settings: of the run.
        variants: VCF, BCF or tab-separated.
        genome: FASTA that they lie on.
        genes: the genes whose splicing they change.
    """

    model: Any
    settings: VariantSettings
    variants: Source
    genome: Source
    genes: Source | None = None

    @property
    def sources(self) -> dict[str, str]:
        """Names of the files that are read, and the digest of the one that was read in full."""
        files = {"variants": self.variants, "genome": self.genome, "genes": self.genes}
        digest = {} if self.genes is None or self.genes.digest is None else {"genes sha256": self.genes.digest}
        return named(files, read_in_full="variants") | digest

    def rows(self, programs: Programs, found: Input) -> Iterator[Row]:
        """The rows of the store: one per alternate allele, or one for each of its genes.

        Raises:
            FileError: see the readers.
            OptionError: a model with more inputs than the sequence.
        """
        check_strands(programs)
        if programs.other_inputs:
            raise OptionError(
                "variants are scored by models that take a sequence alone",
                expected="one input",
                got=list(programs.forward.inputs.names),
            )
        scores = None if self.genes is None else splice_scores(programs, self.settings)
        genes = None if self.genes is None else Genes(self.genes)
        with Genome(self.genome, self.settings.aliases) as genome:
            windows = Windows(genome, programs.encoding, self.variants.path, self.settings.pad)
            number, last = -1, None
            for alleles in read_alleles(self.variants, windows, found.refusals, genes):
                variant = alleles.variant
                further, last = variant is last, variant  # in another gene
                fault = None if scores is None else scores.fault(variant)
                if fault is not None:
                    got = f"{variant.chrom}:{variant.position + 1} {variant.ref}>{variant.alt}"
                    if not further:
                        found.refusals(FileError(self.variants.path, fault, line=variant.line, got=got))
                    continue
                if not further:
                    number += 1
                    found.counts["variants"] += 1
                    found.counts[f"{alleles.kind}s"] += 1
                    found.chromosomes.setdefault(variant.chrom, genome.lengths[variant.chrom])
                yield _row(alleles, number)


def _row(alleles: Alleles, number: int) -> Row:
    """The columns of one allele, the `number`-th that is scored, in one gene if there are genes."""
    variant, gene = alleles.variant, alleles.gene
    row = {
        "sequence": alleles.reference,
        "alternate": alleles.alternate,
        "offset": alleles.offset,
        "chrom": variant.chrom,
        "id": variant.name,
        "ref": variant.ref,
        "alt": variant.alt,
        "kind": alleles.kind,
        "position": variant.position,
        "start": alleles.start,
    }
    if gene is None:
        return row
    place = {"strand": gene.strand, "boundary": gene.to_boundary(variant.position)}
    return row | {"record": number, "gene": gene.name, **place}


def scan_variants(
    model: Any,
    genome: str | os.PathLike[str],
    variants: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    settings: VariantSettings | None = None,
    execution: Execution | None = None,
    progress: Progress | None = None,
    to: Sequence[tuple[str, str | os.PathLike[str]]] = (),
) -> Summary:
    """Score the variants of a file, into a resumable store.

    Substitutions of equal length run through the compiled program; insertions
    and deletions are scored by the model on the whole alternate sequence. The
    window starts `length // 2` bases before a variant (see `read_alleles`).

    Args:
        model: as in `scan`.
        genome: FASTA, plain or bgzip.
        variants: VCF (plain, gzip), BCF, or tab-separated chrom, pos, ref, alt; or an open `Source` of it.
        output: folder of the store.
        settings: what is computed (default: delta).
        execution: who computes it (default: this process).
        progress: called with finished and all variants.
        to: other formats to write once the store is complete: `(format, path)`; `vcf` is the file of the variants
            with the scores added, if that is VCF as text.

    Returns:
        What was done.

    Raises:
        FastISMError: as `scan`; an InputError also for a reference allele that
            is not what the genome says.
    """
    settings = instance("settings", VariantSettings() if settings is None else settings, VariantSettings)
    execution = instance("execution", Execution() if execution is None else execution, Execution)
    target = path("output", output)
    check_wanted(VARIANTS, to)
    listed = variants if isinstance(variants, Source) else path("variants", variants)
    with ExitStack() as files:
        table = files.enter_context(opened(listed))
        chromosomes = files.enter_context(Source(path("genome", genome)))
        genes = None if settings.genes is None else files.enter_context(Source(Path(settings.genes)))
        job = VariantJob(path_or_model(model), settings, table, chromosomes, genes)
        summary = execute(job, target, execution, progress)
        if summary.complete:
            for name, further in to:
                convert(target, further, name, annotate=annotated_by(table, name))
    return summary


def annotated_by(table: Source, name: str) -> Source | None:
    """The file of the variants, if a further format is that file with the scores added."""
    return table if name == "vcf" and is_annotated(table) else None
