"""`open_scan`: a store as an xarray Dataset."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastism_compiler.arguments import path as path_argument
from fastism_compiler.extras import missing_extra
from fastism_compiler.runs.damage import readable
from fastism_compiler.runs.errors import StoreError
from fastism_compiler.runs.record import SEAL, damaged
from fastism_compiler.runs.tables import has_references

if TYPE_CHECKING:
    import xarray


def open_scan(path: str | os.PathLike[str]) -> xarray.Dataset:
    """A store of a scan or of variants as an xarray Dataset, read lazily.

    Each output is a variable `scores_<name>`, its reference `reference_<name>`.
    Scans have the coordinates `position` (in the model's input) and `letter`,
    or `range_start` and `range_end`; outputs that were scored in part, the
    indices of these parts in the model's output. A store that is not complete
    can be opened too: what is missing is NaN.

    Args:
        path: of the store.

    Raises:
        StoreError: no store, or one of which files are missing. Reading a file that is damaged raises it as well.
        OptionError: xarray is not installed.
    """
    try:
        import xarray  # an extra, not always installed
    except ImportError as error:
        raise missing_extra("a view of a store", "xarray", "genomics") from error
    path = path_argument("path", path)
    found = readable(path)
    attributes = found.attributes
    if "outputs" not in attributes:
        raise StoreError("not a store of a scan or of variants", got=os.fspath(path))
    from fastism_compiler.runs.reading import CheckedStore  # zarr is an extra, and this module is imported without it

    store = CheckedStore(path, entries=found.entries)
    parts = [_part(xarray, store, None)]
    for group in ("scores", "reference") if has_references(attributes) else ("scores",):
        part = _part(xarray, store, group)
        parts.append(part.rename({name: f"{group}_{name}" for name in part.data_vars}))
    data = xarray.merge(parts, combine_attrs="override", compat="override", join="override")
    if "positions" in data:
        coordinates = {"position": data["positions"].values, "letter": list(attributes["alphabet"])}
        data = data.drop_vars("positions").assign_coords(coordinates)
    if "ranges" in data:
        start, end = np.moveaxis(data["ranges"].values, -1, 0)
        bounds = {"range_start": ("range", start), "range_end": ("range", end)}
        data = data.drop_vars("ranges").assign_coords(bounds)
    return data.assign_coords(_chosen_numbers(data, attributes))


def _chosen_numbers(data: xarray.Dataset, attributes: Mapping[str, Any]) -> dict[str, list[int]]:
    """Along the axes of outputs that were scored in part: the indices in the model's output."""
    along = {
        f"{name}_{axis}": numbers
        for name, axes in attributes.get("numbers", {}).items()
        for axis, numbers in enumerate(axes)
    }
    return {dim: numbers[: data.sizes[dim]] for dim, numbers in along.items() if numbers and dim in data.sizes}


def _part(xarray: Any, store: Any, group: str | None) -> Any:
    try:
        part = xarray.open_zarr(store, group=group, consolidated=False, chunks=None, zarr_format=3)
    except StoreError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:  # metadata without a checksum
        raise damaged(store.root / (group or ""), error) from error
    for name in ("files", "tasks", SEAL):  # of the store, not of the scores
        part.attrs.pop(name, None)
    return part
