from __future__ import annotations

import builtins
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.plot import COLOURS, logo_figure, save
from fastism_compiler.plot.style import OTHER, letter_colour, symmetric_limit, width_for


def test_letters_of_any_case_and_alphabet_have_colours() -> None:
    assert letter_colour("a") == COLOURS["A"]
    assert letter_colour("U") == letter_colour("T")
    assert letter_colour("W") == OTHER


def test_limits_and_widths() -> None:
    assert symmetric_limit(np.array([np.nan, -3.0, np.inf, 2.0])) == 3.0
    assert symmetric_limit(np.array([np.nan])) == symmetric_limit(np.zeros(0)) == 1.0
    assert width_for(10, 0.1) == 6.0
    assert width_for(100_000, 0.1) == 30.0, "no wider than a file format allows"


def test_very_long_logos_can_be_saved(tmp_path: Path) -> None:
    scores = np.zeros((3000, 4))
    scores[::100, 2] = 1.0
    save(logo_figure({"long": scores}), tmp_path / "long.png")
    assert (tmp_path / "long.png").stat().st_size > 1000


def test_pictures_show_themselves_in_notebooks() -> None:
    figure = logo_figure({"few": np.eye(4)})
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert pickle.loads(pickle.dumps(figure))._repr_png_() == figure._repr_png_()


def test_no_picture_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(fc.UnsupportedError, match=r"fastism-compiler\[plot\]"):
        logo_figure({"one": np.zeros((3, 4))})


def test_extensions_and_folders(tmp_path: Path) -> None:
    figure = logo_figure({"one": np.eye(4)})
    save(figure, tmp_path / "UPPER.PNG")
    for path, message in ((tmp_path / "p", "extension"), (tmp_path / "no" / "p.svg", "folder")):
        with pytest.raises(fc.OptionError, match=message):
            save(figure, path)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_only_pictures_as_we_drew_them_are_replaced(ending: str, tmp_path: Path) -> None:
    path, figure = tmp_path / f"x.{ending}", logo_figure({"one": np.eye(4)})
    for _ in range(2):
        save(figure, path)
    drawn = path.read_bytes()
    for changed in (b"", b"mine", drawn.replace(b"fastism-compiler ", b"fastism-compiler 0"), drawn + b"\n"):
        path.write_bytes(changed)
        with pytest.raises(fc.OptionError, match=f"(?s)--overwrite.*x.{ending}"):
            save(figure, path)
        assert path.read_bytes() == changed
    save(figure, path, overwrite=True)
    assert path.read_bytes() == drawn


def test_a_mark_leaves_a_picture_whole(tmp_path: Path) -> None:
    from PIL import Image  # comes with matplotlib

    save(logo_figure({"one": np.eye(4)}), tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as image:
        image.load()
        assert image.info["Comment"].startswith("fastism-compiler ")


def test_amino_acids_are_coloured_by_chemistry_and_bases_as_ever() -> None:
    protein = "ACDEFGHIKLMNPQRSTVWY"
    assert {letter_colour(c, protein) for c in "KRH"} == {"#255C99"}
    assert {letter_colour(c, protein) for c in "DE"} == {"#D62839"}
    assert letter_colour("A", protein) == "#000000"
    for alphabet in ("", "ACGT", "ACGU", "ACGTN", ["A", "?", "G"]):
        assert letter_colour("A", alphabet) == COLOURS["A"]
    assert letter_colour("?", "ACGT") == letter_colour("?", protein) == OTHER
