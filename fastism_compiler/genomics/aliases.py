"""Other names of chromosomes: `chr1` is `1`, `chrM` is `MT`, or as a file of two columns says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from fastism_compiler.genomics.errors import FileError
from fastism_compiler.genomics.sources import opened
from fastism_compiler.genomics.text import read_lines

SPELLINGS = "auto"
"""The option that stands for the common spellings of a name."""
_PREFIX = "chr"
_MITOCHONDRION = ("M", "MT")


def spellings(name: str) -> list[str]:
    """Other spellings of a chromosome's name, those with the same letters first."""
    bare = name[len(_PREFIX) :] if name.lower().startswith(_PREFIX) else name
    bares = [bare, *(_MITOCHONDRION if bare.upper() in _MITOCHONDRION else ())]
    found = [spelt for b in bares for spelt in (b, _PREFIX + b)]
    return [spelt for spelt in dict.fromkeys(found) if spelt != name]


def aliases_of(names: Iterable[str], option: str | None) -> dict[str, str]:
    """Other names of a genome's chromosomes, mapped to the genome's own names.

    Args:
        names: of the chromosomes, in the genome.
        option: None: none; `auto`: the common spellings; else a file with a pair of names in each line, one of them
            the genome's, between tabs or spaces. Pairs without a name of the genome are skipped.

    Raises:
        FileError: a file that cannot be read, a line of other than two names, or a name given to two chromosomes.
    """
    known = list(names)
    if option is None:
        return {}
    if option == SPELLINGS:
        claims: dict[str, list[tuple[int, str]]] = {}
        for name in known:
            for further, spelt in enumerate(spellings(name)):
                if spelt not in known:
                    claims.setdefault(spelt, []).append((min(further, 1), name))
        # adding or dropping the prefix ranks before M for MT; a spelling that would fit two names is dropped
        nearest = {spelt: [n for rank, n in found if rank == min(found)[0]] for spelt, found in claims.items()}
        return {spelt: names[0] for spelt, names in nearest.items() if len(names) == 1}
    return _read(Path(option), set(known))


def _read(path: Path, known: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    with opened(path) as source:
        for number, line in read_lines(source):
            pair = line.split()
            if not pair or line.startswith("#"):
                continue
            if len(pair) != 2:
                raise FileError(path, "a line of aliases has not two names", line=number, got=line[:60])
            if not known & set(pair):
                continue  # of a chromosome that this genome lacks
            alias, name = pair if pair[1] in known else pair[::-1]
            if alias not in known and found.setdefault(alias, name) != name:
                raise FileError(path, "an alias of two chromosomes", line=number, got=alias)
    return found


def hint(name: str, known: Mapping[str, int]) -> str | None:
    """The spelling of a name that a genome knows; None where it knows none."""
    return next((spelt for spelt in spellings(name) if spelt in known), None)
