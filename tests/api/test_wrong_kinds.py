"""Arguments of another kind: every public function refuses them by an error of this package."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.plot import save
from fastism_compiler.report import write_report
from tests.export.programs import compiled, tiny

NAN, HUGE = float("nan"), 2**70
WRONG: list[Any] = [5.5, NAN, HUGE, object(), [None], {"a": 1}, b"x", np.ones((2, 2)), np.array(3), [[1, 2], [3]]]
"""What no flag, text, path or count is."""


@pytest.fixture(scope="module")
def program() -> fc.CompiledISM:
    return compiled(tiny(), batch_size=1, jit=False)


def refused(call: Callable[[Any], Any], *also: Any) -> None:
    for value in (*WRONG, *also):
        with pytest.raises(fc.FastISMError):
            call(value)


@pytest.mark.parametrize("kind", [fc.ScanSettings, fc.VariantSettings, fc.Execution])
def test_settings(kind: Any) -> None:
    takes_whole = {"length", "batch_size", "window", "distance", "unknown_token", "seq_input", "workers", "threads"}
    for field in dataclasses.fields(kind):
        right = {"client": WRONG, "pseudocount": [5.5, HUGE]}.get(field.name, [HUGE] * (field.name in takes_whole))
        for value in WRONG:
            if any(value is fits for fits in right):
                continue
            with pytest.raises(fc.OptionError, match=f"{field.name}= has a wrong value"):
                kind(**{field.name: value})
    with pytest.raises(fc.OptionError, match="ranges="):
        fc.ScanSettings(ranges=5)  # type: ignore[arg-type]


def test_lists_and_numbers_of_numpy_are_settings() -> None:
    given = fc.ScanSettings(window=np.int64(3), outputs=["a"], channels=np.arange(4))  # type: ignore[arg-type]
    assert given == fc.ScanSettings(window=3, outputs=("a",), channels=(0, 1, 2, 3))
    assert fc.ScanSettings(ranges=[[1, 2]]) == fc.ScanSettings(ranges=((1, 2),))  # type: ignore[arg-type,list-item]
    with pytest.raises(fc.OptionError, match=r"1 \.\. 1024"):
        fc.Execution(threads=HUGE).check("model.keras")


def test_runs_and_stores(tmp_path: Path) -> None:
    output = tmp_path / "out"
    for call in (
        lambda v: fc.scan("m.keras", v, output),
        lambda v: fc.scan("m.keras", "in.fa", v),
        lambda v: fc.scan("m.keras", "in.fa", output, genome=v),
        lambda v: fc.scan("m.keras", "in.fa", output, settings=v),
        lambda v: fc.scan("m.keras", "in.fa", output, execution=v),
        lambda v: fc.scan("m.keras", "in.fa", output, to=v),
        lambda v: fc.scan("m.keras", "in.fa", output, to=[("tsv", v)]),
        lambda v: fc.scan_variants("m.keras", v, "in.vcf", output),
        lambda v: fc.scan_variants("m.keras", "g.fa", v, output),
        lambda v: fc.scan_variants("m.keras", "g.fa", "in.vcf", output, settings=v),
        lambda v: fc.convert(output, tmp_path / "x", v),
        lambda v: fc.convert(output, v, "tsv"),
        lambda v: fc.convert(v, tmp_path / "x", "tsv"),
        lambda v: fc.convert(output, tmp_path / "x", "tsv", overwrite=v),
        fc.open_scan,
        fc.check_store,
        fc.load,
        lambda v: write_report(v, tmp_path / "r.html"),
        lambda v: write_report(output, v),
        lambda v: write_report(output, tmp_path / "r.html", v),
        lambda v: save(None, v),
    ):
        refused(call)
    assert not list(tmp_path.iterdir())


def test_programs(program: fc.CompiledISM, tmp_path: Path) -> None:
    spec = program.inputs.types[0]
    x = np.zeros((1, spec.extent(1), spec.extent(2)), np.float32)
    x[..., 0] = 1
    for call in (
        lambda v: program(x, delta=v),
        lambda v: program(x, sparse=v),
        lambda v: program.saturate(x, delta=v),
        lambda v: program.stream(x, saturate=v),
        lambda v: program.variants(x, [(0, 0, "A")], delta=v),
        lambda v: program.variants(x, [(v, 0, "A")]),
        lambda v: program.variants(x, [(0, v, "A")]),
        program.export,
        lambda v: program.export(tmp_path / "x", v),
        lambda v: program.export(tmp_path / "x", overwrite=v),
        lambda v: program.export(tmp_path / "x", "onnx", function=v),
    ):
        refused(call)
    for name in ("atol", "rtol", "ranges"):
        for value in (NAN, -1, None, "1", [1], np.ones(2)):
            with pytest.raises(fc.OptionError, match=name):
                program.verify(x, **{name: value})
    with pytest.raises(fc.ArtifactError, match="too long"):
        program.export("x" * 5000)
    assert not list(tmp_path.iterdir())


def test_options_of_compile() -> None:
    numbers = {"batch_size", "memory_budget", "length", "seq_input"}
    for name in ("stop_at", "alphabet", "jit", "precision", "autotune", "devices", "target", "verify", "safe_mode"):
        refused(lambda v, name=name: fc.compile("no.keras", **{name: v}))
    for name in numbers | {"outputs", "reduce", "channels"}:
        for value in (object(), [None], np.array(3), b"x"):
            with pytest.raises(fc.FastISMError):
                fc.compile("no.keras", **{name: value})
    for model in (*WRONG, "x" * 5000, "a\0b"):
        with pytest.raises(fc.ModelError):
            fc.compile(model)
