"""Results by name: as an xarray Dataset, and as a table with a line for every score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastism_compiler.errors import InputError
from fastism_compiler.genomics.extras import missing_extra
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.spelling import UNKNOWN

if TYPE_CHECKING:
    import pandas
    import xarray

    from fastism_compiler.runtime.program import Program

_Coordinates = dict[str, Any]
Axes = tuple[list[str], _Coordinates]
"""Names of the axes of a result in front of those of an output, and their coordinates."""


def to_xarray(
    program: Program,
    results: Any,
    x: Any = None,
    *,
    sequences: Sequence[str] | None = None,
    variants: Sequence[tuple[int, int, Any]] | None = None,
    classes: Mapping[str, Sequence[str]] | Sequence[str] | None = None,
) -> xarray.Dataset:
    """What a program returned, with names: one variable per output.

    Axes are `sequence`, then `position` (or `range`, where ranges are wider), then `letter` of a saturation; of
    variants `variant`. Those of an output follow as `<output>_0`, `<output>_1`, ...; the last one is `<output>_class`
    if its entries have names.

    Args:
        program: that returned it.
        results: of `program(x)`, `saturate`, `variants` or `reference`.
        x: the sequences: the letter at each position becomes the coordinate `reference`.
        sequences: their names (default: numbers).
        variants: as they were given to `variants`, for their coordinates.
        classes: names along the last axis of each output, by the output's name; of a single output, the names alone.

    Returns:
        The dataset. `dataset["head"].sel(sequence=0, letter="A")` is one of many ways to read it.

    Raises:
        OptionError: xarray is not installed.
        InputError: results of another program, or names that are not as many as there are entries.
    """
    try:
        import xarray  # an extra, not always installed
    except ImportError as error:
        raise missing_extra("results by name", "xarray", "genomics") from error
    flat, names = _flat(program, results), _names(program)
    extra = {y.ndim - np.ndim(sample) for y, sample in zip(flat, program.selection.samples, strict=True)}
    if len(extra) != 1 or not 0 <= min(extra) <= 2:
        raise InputError("results= is what the program returned", got=[list(y.shape) for y in flat])
    dims, coordinates = _axes(program, flat[0].shape, extra.pop(), variants)
    _name_sequences(coordinates, dims, flat[0].shape, sequences)
    if x is not None and "position" in dims:
        letters = _letters(program, x)[:, program.ranges.lo]
        coordinates["reference"] = (("sequence", "position"), letters)
    labels, data = _classes(names, classes), {}
    for name, y in zip(names, flat, strict=True):
        along, more = _output_axes(name, y.shape[len(dims) :], labels.get(name))
        coordinates |= more
        data[name] = ([*dims, *along], y)
    return xarray.Dataset(data, coordinates)


def to_dataframe(program: Program, results: Any, x: Any = None, **names: Any) -> pandas.DataFrame:
    """What a program returned as a table in long form: a line for every score.

    Columns are the axes of the results (`sequence`, `position`, `letter`, ...) and their coordinates, then `output`,
    `entry` (which number of the output: its name, or its index), and `score`.

    Args:
        program: that returned it.
        results: as in `to_xarray`.
        x: as in `to_xarray`.
        names: `sequences`, `variants` and `classes`, as in `to_xarray`.

    Raises:
        OptionError, InputError: as `to_xarray`.
    """
    data = to_xarray(program, results, x, **names)
    import pandas  # comes with xarray

    parts = []
    for name, array in data.data_vars.items():
        along = [dim for dim in array.dims if dim == name or str(dim).startswith(f"{name}_")]
        table = array.rename("score").to_dataframe().reset_index()
        entries = [table.pop(dim).astype(str) for dim in along]
        table["output"] = name
        table["entry"] = entries[0].str.cat(entries[1:], sep=",") if entries else ""
        table["score"] = table.pop("score")  # the last column
        parts.append(table)
    return pandas.concat(parts, ignore_index=True)


def _flat(program: Program, results: Any) -> list[Array]:
    try:
        flat = [np.asarray(y) for y in program.selection.unpack(results)]
    except (TypeError, KeyError, ValueError) as error:
        raise InputError("results= is what the program returned", got=type(results).__name__) from error
    if len(flat) != len(program.selection.samples):
        raise InputError("results= is what the program returned", got=f"{len(flat)} arrays")
    return flat


def _names(program: Program) -> list[str]:
    """A name for each output; two of one name get their numbers."""
    names = list(program.selection.names)
    return [name if names.count(name) == 1 else f"{name}_{i}" for i, name in enumerate(names)]


def _axes(program: Program, shape: tuple[int, ...], extra: int, variants: Any) -> Axes:
    """The axes in front of the outputs, of results with `extra` axes more than an output."""
    if variants is not None:
        if extra or shape[0] != len(variants):
            raise InputError("variants= lists what was scored", expected=f"{shape[0]} variants", got=len(variants))
        rows, positions, alternates = zip(*variants, strict=True)
        named = {"of": list(rows), "position": list(positions), "alt": [str(a) for a in alternates]}
        return ["variant"], {key: ("variant", values) for key, values in named.items()}
    if not extra:
        return ["sequence"], {}
    ranges = program.ranges
    if shape[1] != ranges.count:
        raise InputError("results= has all ranges of the program", expected=ranges.count, got=shape[1])
    single = bool((ranges.widths == 1).all())
    coordinates: _Coordinates = (
        {"position": ranges.lo} if single else {"start": ("range", ranges.lo), "end": ("range", ranges.hi)}
    )
    dims = ["sequence", "position" if single else "range"]
    if extra == 1:
        return dims, coordinates
    return [*dims, "letter"], {**coordinates, "letter": _spelling(program)}


def _name_sequences(
    coordinates: _Coordinates, dims: Sequence[str], shape: tuple[int, ...], sequences: Sequence[str] | None
) -> None:
    if "sequence" not in dims:
        return
    if sequences is not None and len(sequences) != shape[0]:
        raise InputError("sequences= names each sequence", expected=f"{shape[0]} names", got=len(sequences))
    coordinates["sequence"] = np.arange(shape[0]) if sequences is None else list(sequences)


def _classes(names: Sequence[str], classes: Any) -> Mapping[str, Sequence[str]]:
    if classes is None:
        return {}
    if not isinstance(classes, Mapping):
        if len(names) > 1:
            raise OptionError("classes= names the output", expected=f"a dict of {list(names)}", got="a list")
        return {names[0]: classes}
    unknown = [name for name in classes if name not in names]
    if unknown:
        raise OptionError("classes= names an output", expected=f"one of {list(names)}", got=unknown[0])
    return classes


def _output_axes(name: str, shape: tuple[int, ...], labels: Sequence[str] | None) -> Axes:
    """The axes of an output; the last one has labels."""
    dims = [f"{name}_{axis}" for axis in range(len(shape))]
    if labels is None:
        return dims, {}
    if not shape or len(labels) != shape[-1]:
        raise InputError(
            f"classes= names every entry of the last axis of {name!r}", expected=list(shape)[-1:], got=len(labels)
        )
    dims[-1] = f"{name}_class"
    return dims, {dims[-1]: list(labels)}


def _letters(program: Program, x: Any) -> Array:
    """The letter at each position, `[B, L]`; `N` for what is no letter."""
    read = program.letters.read(program.read_inputs(x)[program.inputs.sequence])
    alone = program.letters.alone(read.dtype)
    known = (read[:, :, None] == alone).all(-1)
    spelling = np.array([*map(str, _spelling(program)), UNKNOWN[0]])
    letters: Array = spelling[np.where(known.any(-1), known.argmax(-1), -1)]
    return letters


def _spelling(program: Program) -> list[Any]:
    """The letters, in the order of the results; their numbers where the alphabet does not name them."""
    count = program.letters.count
    return list(program.alphabet) if len(program.alphabet) == count else list(range(count))
