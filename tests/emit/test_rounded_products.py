"""Products of operands that were rounded to TensorFloat-32 may run on tensor cores, all others may not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fastism_compiler.emit.rounded_products import mark_rounded_products
from tests.export.programs import compiled, tiny

STRICT, FASTEST = "precision = [HIGHEST, HIGHEST]", "precision = [DEFAULT, DEFAULT]"
ROUNDED = "stablehlo.reduce_precision %arg0, format = e8m10 : tensor<2x2xf32>"


def marked(*lines: str) -> bool:
    """Whether the last line, a product, comes out marked; all other lines must come out as they were."""
    *before, last = mark_rounded_products("\n".join(lines) + "\n").splitlines()
    assert before == list(lines[:-1])
    assert last in (lines[-1], lines[-1].replace(STRICT, FASTEST))
    return last != lines[-1]


@pytest.mark.parametrize("product", ["dot %0, %1, ", "dot_general %0, %1, contracting_dims = [1] x [0], "])
def test_both_operands_must_be_rounded(product: str) -> None:
    line = f"    %2 = stablehlo.{product}{STRICT}"
    assert marked(f"    %0 = {ROUNDED}", f"    %1 = {ROUNDED}", line)
    assert not marked(f"    %0 = {ROUNDED}", "    %1 = stablehlo.add %arg0, %arg0", line)
    assert not marked("    %0 = stablehlo.negate %arg0", f"    %1 = {ROUNDED}", line)


def test_a_convolution_of_operands_that_were_moved() -> None:
    line = "    %4 = stablehlo.convolution(%2, %3) precision_config = [#stablehlo<precision HIGHEST>]"
    moved = ["    %2 = stablehlo.slice %0 [0:1, 0:2]", "    %3 = stablehlo.transpose %1, dims = [1, 0]"]
    got = mark_rounded_products("\n".join([f"    %0 = {ROUNDED}", f"    %1 = {ROUNDED}", *moved, line]))
    assert got.splitlines()[-1] == line.replace("HIGHEST", "DEFAULT")


def test_fewer_digits_are_not_tensorfloat() -> None:
    other = ROUNDED.replace("e8m10", "e8m11")
    assert not marked(f"    %0 = {other}", f"    %1 = {ROUNDED}", f"    %2 = stablehlo.dot %0, %1, {STRICT}")


def test_a_name_used_again_is_another_value() -> None:
    lines = [f"      %0 = {ROUNDED}", f"      %1 = {ROUNDED}", "    }"]
    assert not marked(*lines, "    %1:2 = stablehlo.while(%a = %b)", f"    %2 = stablehlo.dot %0, %1, {STRICT}")


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_in_an_export(precision: str, tmp_path: Path) -> None:
    compiled(tiny(), precision=precision, target="gpu").export(tmp_path / "modules", "stablehlo")
    scan, reference = ((tmp_path / "modules" / f"{n}.mlir").read_text() for n in ("scan", "reference"))
    assert "DEFAULT" not in reference and "HIGHEST" in reference
    assert bool(re.search(r"stablehlo\.dot.*DEFAULT", scan)) == (precision == "tf32")
