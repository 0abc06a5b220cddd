from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import fastism_compiler as fc
from fastism_compiler.plot.scan import Output, open_scan
from fastism_compiler.report.summary import summarise
from tests.plot.store import LENGTH, POSITIONS, write_store


def test_what_a_store_says(store: Path) -> None:
    scan = open_scan(store)
    assert (scan.count, scan.length, scan.alphabet, scan.score) == (3, LENGTH, "ACGT", "delta")
    assert scan.saturated
    assert scan.outputs == ("scalar", "head")
    assert [scan.find(s) for s in ("second", "2", "chr2:5-17")] == [1, 2, 2]
    assert scan.sequence(0).title == "first"
    assert scan.sequence(2).title == "chr2:5-17  chr2:5-17 (-)"


def test_gaps_are_nan_and_cells_are_the_stores(store: Path) -> None:
    scan, group = open_scan(store), zarr.open_group(store, mode="r")
    cells = scan.saturation(0, scan.output("head:2"))
    assert cells.first == 2
    assert cells.effects.shape == (8, 4)
    assert np.isnan(cells.effects[3]).all(), "position 5 was not scanned"
    np.testing.assert_array_equal(cells.effects[POSITIONS - 2], group["scores/head"][0, :, :, 2])
    np.testing.assert_array_equal(cells.reference, group["sequence"][0, 2:10])
    part = scan.saturation(0, scan.output("scalar"), (3, 8))
    assert (part.first, part.effects.shape) == (3, (5, 4))
    np.testing.assert_array_equal(part.effects[[0, 1, 3, 4]], group["scores/scalar"][0, 1:5, :, 0])


def test_outputs_and_their_numbers(store: Path) -> None:
    scan = open_scan(store)
    assert scan.output("scalar") == Output("scalar", (0,), alone=True)
    assert str(scan.output("scalar")) == "scalar"
    assert scan.output("head") == Output("head", None)
    assert str(scan.output("head:3")) == "head:3"
    assert [str(n) for n in scan.numbers(scan.output("head"))] == ["head:0", "head:1", "head:2", "head:3"]
    assert scan.effects(1, scan.output("head")).shape == (7, 4, 4)
    assert scan.effects(1, scan.output("head:1"), (6, 8)).shape == (2, 4, 1)


def test_ranges_come_in_order_of_position(ranges_store: Path) -> None:
    scan, group = open_scan(ranges_store), zarr.open_group(ranges_store, mode="r")
    assert not scan.saturated
    effects = scan.effects(2, scan.output("head"))
    np.testing.assert_array_equal(effects, group["scores/head"][2][[1, 2, 0]])
    assert scan.chosen((3, 12)).tolist() == [2, 0], "only ranges that lie inside"


@pytest.mark.parametrize("ranges", [None, np.array([[6, 8], [0, 2], [3, 5]])])
def test_values_are_shown_as_effects(tmp_path: Path, ranges: Any) -> None:
    """A scan of values has the reference's own at the letters that are there, which is no effect."""
    deltas = open_scan(write_store(tmp_path / "deltas", ranges=ranges))
    values = write_store(tmp_path / "values", ranges=ranges, score="value")
    group = zarr.open_group(values)
    for name in ("scalar", "head"):
        own = group[f"reference/{name}"][:]
        axes = group[f"scores/{name}"].ndim - own.ndim
        group[f"scores/{name}"] = group[f"scores/{name}"][:] + own.reshape(len(own), *[1] * axes, *own.shape[1:])
    scan = open_scan(values)
    assert (scan.score, scan.effect, deltas.effect) == ("value", "value - reference", "delta")
    for text in ("scalar", "head", "head:2"):
        output = scan.output(text)
        for row in range(scan.count):
            np.testing.assert_allclose(scan.effects(row, output), deltas.effects(row, output), atol=1e-6)
        np.testing.assert_allclose(scan.block(range(1, 3), output), deltas.block(range(1, 3), output), atol=1e-6)
    ours, expected = (summarise(s, [s.output("head")]) for s in (scan, deltas))
    assert [(s.row, s.change, s.missing) for s in ours] == [(s.row, s.change, s.missing) for s in expected]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda s: s.find("nobody"), fc.InputError, r"no such sequence(.|\n)*first, second"),
        (lambda s: s.find("3"), fc.InputError, r"0 \.\. 2"),
        (lambda s: s.output(None), fc.OptionError, "several outputs"),
        (lambda s: s.output("tail"), fc.OptionError, "scalar, head"),
        (lambda s: s.output("tail:1"), fc.OptionError, "scalar, head"),
        (lambda s: s.output("head:4"), fc.OptionError, r"0 \.\. 3"),
        (lambda s: s.output("head:x"), fc.OptionError, r"0 \.\. 3"),
        (lambda s: s.output("head:1,1"), fc.OptionError, r"0 \.\. 3"),
        (lambda s: s.saturation(0, s.output("head")), fc.OptionError, "one number"),
        (lambda s: s.chosen((4, 13)), fc.RangeError, "end <= 12"),
        (lambda s: s.chosen((4, 4)), fc.RangeError, "end <= 12"),
        (lambda s: s.chosen((10, 12)), fc.RangeError, "nothing was scanned(.|\n)*2-10"),
    ],
)
def test_refusals(store: Path, call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call(open_scan(store))


def test_a_scan_of_ranges_has_no_letters(ranges_store: Path) -> None:
    scan = open_scan(ranges_store)
    with pytest.raises(fc.OptionError, match="every letter"):
        scan.saturation(0, scan.output("scalar"))


def test_names_given_twice_are_told_by_number(tmp_path: Path) -> None:
    path = write_store(tmp_path / "s.zarr")
    zarr.open_group(path, mode="a")["name"][:] = np.array(["same", "same", "2"])
    scan = open_scan(path)
    with pytest.raises(fc.InputError, match=r"several(.|\n)*0, 1"):
        scan.find("same")
    assert scan.find("1") == 1


def test_what_is_not_a_store_is_refused(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(fc.InputError, match="does not exist"):
        open_scan(tmp_path / "nothing.zarr")
    file = tmp_path / "file"
    file.write_text("?")
    with pytest.raises(fc.InputError, match="not a store"):
        open_scan(file)
    zarr.open_group(tmp_path / "other.zarr", mode="w")
    with pytest.raises(fc.StoreError, match="format None"):
        open_scan(tmp_path / "other.zarr")
    with pytest.raises(fc.InputError, match="version 2"):
        open_scan(write_store(tmp_path / "newer.zarr", version=2))
    with pytest.raises(fc.InputError, match="no scores/more"):
        open_scan(write_store(tmp_path / "cut.zarr", outputs=["head", "more"]))
    real = builtins.__import__

    def without_zarr(name: str, *rest: Any, **options: Any) -> Any:
        if name == "zarr":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without_zarr)
    with pytest.raises(fc.UnsupportedError, match=r"fastism-compiler\[plot\]"):
        open_scan(store)
