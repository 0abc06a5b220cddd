"""What all pictures share: colours, new figures, limits, files."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastism_compiler.arguments import flag
from fastism_compiler.arguments import path as path_argument
from fastism_compiler.errors import InputError, UnsupportedError
from fastism_compiler.host.files import check_ending, whole_file
from fastism_compiler.host.marks import ROOM, check_own, mark
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.mutations.inputs import Array

COLOURS = {"A": "#109648", "C": "#255C99", "G": "#F7B32B", "T": "#D62839", "U": "#D62839"}
"""The colours sequence logos are usually drawn in; other letters are grey."""
_CHEMISTRY = {"GSTYC": "#109648", "QN": "#8E44AD", "KRH": "#255C99", "DE": "#D62839", "AVLIPWFM": "#000000"}
"""Amino acids: polar, amide, basic, acidic, hydrophobic; the groups of WebLogo's chemistry scheme."""
AMINO_ACIDS = {letter: colour for group, colour in _CHEMISTRY.items() for letter in group}
OTHER = "#555555"
MISSING = "#b0b0b0"
"""Cells that could not be computed."""
DIVERGING = "RdBu_r"
FORMATS = ("png", "svg", "pdf")
"""File formats of `save`, by extension."""
_ENDINGS = {"png": b"IEND\xaeB`\x82", "svg": b"</svg>\n", "pdf": b"%%EOF\n"}
"""What whole files end with."""
_WIDEST = 30.0
"""Inches."""


def letter_colour(letter: str, alphabet: Iterable[str] = "") -> str:
    """The colour of a letter in every picture.

    Args:
        letter: in either case.
        alphabet: the letters that it stands among: bases, unless one can only be an amino acid.
    """
    protein = any(other.upper() in AMINO_ACIDS and other.upper() not in (*COLOURS, "N") for other in alphabet)
    return (AMINO_ACIDS if protein else COLOURS).get(letter.upper(), OTHER)


def new_figure(width: float, height: float) -> Any:
    """An empty Figure of `width x height` inches, outside of pyplot's registry; it shows itself in notebooks.

    Raises:
        UnsupportedError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401 (an extra, not always installed)
    except ImportError as error:
        raise missing("pictures need matplotlib", "plot") from error
    from fastism_compiler.plot.notebook import NotebookFigure  # it imports matplotlib

    return NotebookFigure(figsize=(width, height), layout="constrained")


def width_for(columns: int, per_column: float) -> float:
    """Width in inches for so many columns, from 6 to 30."""
    return float(np.clip(per_column * columns + 1.2, 6.0, _WIDEST))


def missing(rule: str, extra: str) -> UnsupportedError:
    """The error for a library that is not installed."""
    return UnsupportedError(rule, expected=f"pip install 'fastism-compiler[{extra}]'", got="not installed")


def as_written(text: str) -> str:
    """A name for a picture: matplotlib would read what stands between two dollars as a formula."""
    return text.replace("$", r"\$")


def check_shape(name: str, values: Array, expected: Sequence[int | None]) -> Array:
    """`values` as an array of the expected shape; None stands for any extent.

    Raises:
        InputError: another shape.
    """
    values = np.asarray(values)
    fits = values.ndim == len(expected) and all(e in (None, s) for e, s in zip(expected, values.shape, strict=True))
    if not fits:
        wanted = ", ".join("any" if e is None else str(e) for e in expected)
        raise InputError(f"wrong shape of {name}", expected=f"[{wanted}]", got=list(values.shape))
    return values


def symmetric_limit(values: Array) -> float:
    """The largest absolute finite value, for colours centred on 0; 1 where there is none."""
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max(initial=0.0)) or 1.0


def save(figure: Any, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a Figure to a `.png`, `.svg` or `.pdf` file; the same Figure gives the same bytes.

    Args:
        figure: a matplotlib Figure.
        path: of the file; one that `save` wrote, and nobody has changed since, is replaced.
        overwrite: also replace any other file.

    Raises:
        OptionError: another extension, a file that is not as `save` has written it, or one that cannot be written.
    """
    # matplotlib is an extra: this module is imported without it
    import matplotlib as mpl

    target = check_target(path, overwrite=overwrite)
    extension = _extension(target)
    metadata = {
        "png": {"Comment": ROOM},
        "svg": {"Date": None, "Identifier": ROOM},
        "pdf": {"CreationDate": None, "Keywords": ROOM},
    }[extension]

    def check(partial: Path) -> None:
        check_ending(partial, _ENDINGS[extension])

    drawn = io.BytesIO()  # matplotlib's own errors of a full disk are not all OSErrors
    with mpl.rc_context({"svg.hashsalt": "fastism"}):
        figure.savefig(drawn, format=extension, dpi=160, metadata=metadata)
    try:
        with whole_file(target, check) as partial:
            partial.write_bytes(drawn.getbuffer())
            mark(partial)
    except OSError as error:
        raise OptionError("the file could not be written", got=f"{path}: {error}") from error


def check_target(path: str | os.PathLike[str], formats: Sequence[str] = FORMATS, *, overwrite: bool = False) -> Path:
    """Check the path of a file before the work begins, and return it.

    Args:
        path: of the file.
        formats: extensions to choose from.
        overwrite: replace whatever file is there.

    Raises:
        OptionError: an extension that is not in `formats`, a folder that does not exist, or a file that this package
            has not written, or that somebody has changed since.
    """
    target = path_argument("path", path)
    overwrite = flag("overwrite", overwrite)
    if _extension(target) not in formats:
        known = " or ".join(f".{f}" for f in formats)
        raise OptionError("the file's extension says its format", expected=known, got=str(path))
    if not target.absolute().parent.is_dir():
        raise OptionError("the folder of a new file must exist", expected=f"a folder {target.parent}", got=str(path))
    try:
        check_own(target, overwrite=overwrite)
    except OSError as error:
        raise OptionError("the file could not be read", got=f"{path}: {error.strerror or error}") from error
    return target


def _extension(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")
