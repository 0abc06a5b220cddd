"""Variants as pairs of model inputs: the reference window, and the window with the alternate in it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from fastism_compiler.errors import InputError
from fastism_compiler.genomics.alphabet import Codes
from fastism_compiler.genomics.errors import FileError, Refusals
from fastism_compiler.genomics.genes import Gene, Genes
from fastism_compiler.genomics.regions import Windows
from fastism_compiler.genomics.vcf import Variant, read_variants


@dataclass(frozen=True, slots=True)
class Alleles:
    """One variant, ready to be scored.

    Attributes:
        variant: what the file says.
        start: genome position of the first base of both windows (0-based).
        offset: position of the variant in the model's input.
        reference: `[L]` letters of the genome.
        alternate: `[L]` letters with the alternate allele.
        gene: the gene on whose strand they are, unknown outside of it; None: the plus strand, all letters.
    """

    variant: Variant
    start: int
    offset: int
    reference: Codes
    alternate: Codes
    gene: Gene | None = None

    @property
    def kind(self) -> str:
        """`substitution` (equal lengths), `insertion` or `deletion`."""
        longer = len(self.variant.alt) - len(self.variant.ref)
        return "substitution" if longer == 0 else "insertion" if longer > 0 else "deletion"


def read_alleles(
    path: str | os.PathLike[str], windows: Windows, refuse: Refusals, genes: Genes | None = None
) -> Iterator[Alleles]:
    """The variants of a file with their windows.

    The window starts `length // 2` bases before the variant's first base. The
    alternate window begins with the same bases; after the alternate allele
    it continues with the genome after the reference allele, up to the model's
    length. So the bases before a variant are never shifted.

    Args:
        path: VCF, BCF or tab-separated (see `read_variants`).
        windows: cuts them out of the genome.
        refuse: called with each variant that cannot be scored.
        genes: a variant has windows for each gene that it lies in, of the letters of that gene alone, on its strand;
            one that lies in none is left out.

    Raises:
        FileError: unless variants may be skipped, one that is malformed, does
            not match the genome, or does not fit the model's window.
    """
    contigs: dict[str, int] = {}
    checked = False
    for variant in read_variants(path, windows.encoding.alphabet.letters, refuse, contigs):
        if not checked:
            _check_assembly(contigs, windows, refuse)
            checked = True
        try:
            found = [place(variant, windows)] if genes is None else _in_genes(variant, windows, genes, refuse)
        except FileError as error:
            refuse(error)
            continue
        yield from found


def _in_genes(variant: Variant, windows: Windows, genes: Genes, refuse: Refusals) -> list[Alleles]:
    names = (variant.chrom, windows.genome.own_name(variant.chrom))
    chrom = next((name for name in names if genes.has(name)), None)
    if chrom is None:
        fault, got = "the file of genes has no gene on the chromosome", variant.chrom
    else:
        fault, got = "the variant lies in no gene", f"{variant.chrom}:{variant.position + 1}"
    over = [] if chrom is None else genes.at(chrom, variant.position)
    if not over:
        _check_reference(variant, windows)
        refuse.leave_out(FileError(windows.path, fault, line=variant.line, got=got))
    return [place(variant, windows, gene) for gene in over]


def _check_assembly(contigs: Mapping[str, int], windows: Windows, refuse: Refusals) -> None:
    """Warn if the header gives other chromosome lengths: reference alleles may match another assembly by chance."""
    lengths = windows.genome.lengths
    other = [name for name, length in contigs.items() if lengths.get(name, length) != length]
    if other:
        refuse.warnings.append(
            f"{windows.path}: its header says that {other[0]} has {contigs[other[0]]} bases; "
            f"{windows.genome.path} has {lengths[other[0]]}: is this another assembly? "
            f"({len(other)} of {len(contigs)} chromosomes differ)"
        )


def place(variant: Variant, windows: Windows, gene: Gene | None = None) -> Alleles:
    """The two windows of a variant.

    Args:
        variant: what the file says.
        windows: cuts them out of the genome.
        gene: letters outside of it are unknown, and the windows are on its strand; None: all letters, plus strand.

    Raises:
        FileError: it does not match the genome, or does not fit the window.
    """
    length, path = windows.encoding.length, windows.path
    offset = length // 2
    start, behind = variant.position - offset, variant.position + len(variant.ref)
    _check_reference(variant, windows)
    if offset + len(variant.alt) > length:
        raise FileError(
            path,
            "an allele is longer than what the model sees from its start on",
            line=variant.line,
            expected=f"at most {length - offset}",
            got=len(variant.alt),
        )
    end = max(start + length, behind + length - offset - len(variant.alt))
    genome = windows.cut(variant.chrom, start, end, variant.line)
    genome = genome if gene is None else gene.masked(genome, start, windows.encoding.alphabet.unknown[0])
    windows.check_known(genome, variant.line)
    alternate = (genome[:offset] + variant.alt + genome[behind - start :])[:length]
    try:
        codes = [windows.encoding.alphabet.codes(t, f"genome at {variant.chrom}:{start}") for t in (genome, alternate)]
    except InputError as error:
        raise FileError(path, error.rule, line=variant.line, expected=error.expected, got=error.got) from error
    alleles = Alleles(variant, start, offset, codes[0][:length], codes[1], gene)
    return _turned(alleles, windows) if gene is not None and gene.strand == "-" else alleles


def _turned(alleles: Alleles, windows: Windows) -> Alleles:
    """The reverse complements of both windows; the variant begins where its alternate allele does."""
    reference, alternate = map(windows.encoding.alphabet.reverse_complement, (alleles.reference, alleles.alternate))
    offset = windows.encoding.length - alleles.offset - len(alleles.variant.alt)
    return replace(alleles, offset=offset, reference=reference, alternate=alternate)


def _check_reference(variant: Variant, windows: Windows) -> None:
    length = windows.length_of(variant.chrom, variant.line)
    end = variant.position + len(variant.ref)
    if end > length:
        raise FileError(
            windows.path,
            "a variant lies beyond the end of its chromosome",
            line=variant.line,
            expected=f"at most {length} ({variant.chrom})",
            got=end,
        )
    found = windows.genome.fetch(variant.chrom, variant.position, end).upper()
    if found != variant.ref:
        raise FileError(
            windows.path,
            "the reference allele is not what the genome says",
            line=variant.line,
            expected=f"{found} at {variant.chrom}:{variant.position + 1}",
            got=variant.ref,
        )
