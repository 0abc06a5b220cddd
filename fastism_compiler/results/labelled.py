"""Results by name: as an xarray Dataset, and as a table with a line for every score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastism_compiler.errors import InputError
from fastism_compiler.extras import missing_extra
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.spelling import UNKNOWN
from fastism_compiler.results.blocks import SparseDeltas

if TYPE_CHECKING:
    import pandas
    import xarray

    from fastism_compiler.runtime.program import Program

_Coordinates = dict[str, Any]
Axes = tuple[list[str], _Coordinates]
"""Names of the axes of a result in front of those of an output, and their coordinates."""
_LEADING = ("sequence", "row", "variant", "of", "position", "range", "start", "end", "letter", "reference", "alt")
"""Names of axes and coordinates that are no output's."""


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
    variants `variant`, which takes `variants=`. Those of an output follow as `<output>_0`, `<output>_1`, ...; the last
    one is `<output>_class` if its entries have names. Where `fc.around` picked positions, `<output>_0` counts from the
    change. A name that another axis or output has already gets an underscore behind it.

    Args:
        program: that returned it.
        results: of `program(x)`, `saturate`, `variants` or `reference`.
        x: the sequences: the letter at each position becomes the coordinate `reference`, where results have positions.
        sequences: their names (default: numbers).
        variants: as they were given to `variants`, for their coordinates.
        classes: names along the last axis of each output, by the output's name; of a single output, the names alone.

    Returns:
        The dataset. `dataset["head"].sel(sequence=0, letter="A")` is one of many ways to read it.

    Raises:
        OptionError: xarray is not installed; `classes` of no output.
        InputError: results of another program, or names that are not as many as there are entries.
    """
    try:
        import xarray  # an extra, not always installed
    except ImportError as error:
        raise missing_extra("results by name", "xarray", "genomics") from error
    flat, named = _flat(program, results), list(program.selection.names)
    extra = {y.ndim - np.ndim(sample) for y, sample in zip(flat, program.selection.samples, strict=True)}
    if len(extra) != 1 or not 0 <= min(extra) <= 2:
        raise InputError("results= is what the program returned", got=[list(y.shape) for y in flat])
    named_rows = x is not None or sequences is not None
    dims, coordinates = _axes(program, flat[0].shape, extra.pop(), variants, "sequence" if named_rows else "row")
    _name_sequences(coordinates, dims, flat[0].shape, sequences)
    if x is not None and "position" in dims:
        coordinates["reference"] = (("sequence", "position"), _letters(program, x, flat[0].shape[0]))
    taken, labels, data = set(_LEADING), _classes(named, classes), {}
    variables = [_unused(name, taken) for name in named]
    for number, (variable, y) in enumerate(zip(variables, flat, strict=True)):
        reach = _reach(program, number, y.shape[len(dims) :]) if len(dims) > 1 else None
        along, more = _output_axes(variable, y.shape[len(dims) :], labels.get(named[number]), reach, taken)
        coordinates |= more
        data[variable] = ([*dims, *along], y)
    return xarray.Dataset(data, coordinates)


def to_dataframe(program: Program, results: Any, x: Any = None, **names: Any) -> pandas.DataFrame:
    """What a program returned as a table in long form: a line for every score.

    Columns are the axes of the results (`sequence`, `position`, `letter`, ...) and their coordinates, then `output`,
    `entry` (which number of the output in the result: its name, or its index), and `score`.

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
        along = [dim for dim in array.dims if dim not in _LEADING]
        kept = [dim for dim in array.dims if dim in _LEADING]
        table = array.rename("score").to_dataframe().reset_index()
        entries = [table.pop(dim).astype(str) for dim in along]
        found = table[[*kept, *(c for c in table.columns if c not in (*kept, "score"))]].copy()
        found["output"] = name
        found["entry"] = entries[0].str.cat(entries[1:], sep=",") if entries else ""
        found["score"] = table["score"]
        parts.append(found)
    return pandas.concat(parts, ignore_index=True)


def _flat(program: Program, results: Any) -> list[Array]:
    try:
        values = program.selection.unpack(results)
    except (TypeError, KeyError, ValueError) as error:
        raise InputError("results= is what the program returned", got=type(results).__name__) from error
    if any(isinstance(value, SparseDeltas) for value in values):
        raise InputError("results= holds whole outputs", expected=".dense() of each", got="sparse=True")
    if len(values) != len(program.selection.samples):
        raise InputError("results= is what the program returned", got=f"{len(values)} arrays")
    return [np.asarray(value) for value in values]


def _unused(name: str, taken: set[str]) -> str:
    """The name, with underscores behind it until nothing else is called so; from now on it is taken."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _axes(program: Program, shape: tuple[int, ...], extra: int, variants: Any, rows: str) -> Axes:
    """The axes in front of the outputs, of results with `extra` axes more than an output."""
    if variants is not None:
        if extra or shape[0] != len(variants):
            raise InputError("variants= lists what was scored", expected=f"{shape[0]} variants", got=len(variants))
        of, positions, alternates = zip(*variants, strict=True)
        spelling = _spelling(program)
        alt = [spelling[a] if isinstance(a, int | np.integer) else str(a) for a in alternates]
        named = {"of": list(of), "position": list(positions), "alt": alt}
        return ["variant"], {key: ("variant", values) for key, values in named.items()}
    if not extra:
        return [rows], {}
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
    """Names of sequences, along their axis; of variants, the names of those that they change."""
    if "variant" in dims and sequences is not None:
        of = coordinates["of"][1]
        if max(of) >= len(sequences):
            raise InputError("sequences= names each sequence", expected=f"{max(of) + 1} names", got=len(sequences))
        coordinates["of"] = ("variant", [sequences[number] for number in of])
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


def _reach(program: Program, number: int, shape: tuple[int, ...]) -> int | None:
    """Positions on either side of a single letter, of an output that `fc.around` picked; None for others."""
    frame = program.selection.frames[number]
    return frame.reach if frame is not None and shape[0] == 2 * frame.reach + 1 else None


def _output_axes(
    name: str, shape: tuple[int, ...], labels: Sequence[str] | None, reach: int | None, taken: set[str]
) -> Axes:
    """The axes of an output; the last one has labels, the first one counts from the change where it has a `reach`."""
    last = [f"{name}_class"] if labels is not None else [f"{name}_{axis}" for axis in range(len(shape))][-1:]
    wanted = [f"{name}_{axis}" for axis in range(len(shape) - 1)] + (last if shape else [])
    dims = [_unused(dim, taken) for dim in wanted]
    coordinates: _Coordinates = {} if reach is None else {dims[0]: np.arange(-reach, reach + 1)}
    if labels is None:
        return dims, coordinates
    if not shape or len(labels) != shape[-1]:
        raise InputError(
            f"classes= names every entry of the last axis of {name!r}", expected=list(shape)[-1:], got=len(labels)
        )
    return dims, {**coordinates, dims[-1]: list(labels)}


def _letters(program: Program, x: Any, rows: int) -> Array:
    """The letter at each position of the program, `[B, P]`; `N` for what is no letter."""
    read = program.letters.read(program.read_inputs(x)[program.inputs.sequence])
    if len(read) != rows:
        raise InputError("x= is the sequences that were scored", expected=f"{rows} sequences", got=len(read))
    known = (read[:, :, None] == program.letters.alone(read.dtype)).all(-1)
    spelling = np.array([*_spelling(program), UNKNOWN[0]])
    letters: Array = spelling[np.where(known.any(-1), known.argmax(-1), -1)]
    return letters[:, program.ranges.lo]


def _spelling(program: Program) -> list[str]:
    """The letters, in the order of the results; their numbers where the alphabet does not name them."""
    count = program.letters.count
    return list(program.alphabet) if len(program.alphabet) == count else [str(i) for i in range(count)]
