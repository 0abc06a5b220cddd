"""A second frontend is one folder and one line: its models compile, verify, scan and export like Keras models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.compiler import compile_source
from fastism_compiler.frontend import registry
from fastism_compiler.options import CompileOptions
from tests.frontend.toy.model import Motifs
from tests.programs import TILES, compile_tiles

LENGTH = 17


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "FRONTENDS", ("tests.frontend.toy.frontend", *registry.FRONTENDS))
        yield


@pytest.fixture(scope="module")
def model() -> Motifs:
    return Motifs.random(LENGTH)


@pytest.fixture(scope="module")
def program(model: Motifs) -> Any:
    return compile_tiles(model, jit=False)  # verifies itself


@pytest.fixture(scope="module")
def x() -> Any:
    return np.eye(4, dtype="float32")[np.random.default_rng(1).integers(0, 4, (3, LENGTH))]


def naive(model: Motifs, x: Any, letter: Any = 0) -> dict[str, Any]:
    """Every position replaced, one after the other: `[B, R, *out]`."""
    mutants = np.repeat(x[:, None], LENGTH, axis=1)
    mutants[:, np.arange(LENGTH), np.arange(LENGTH)] = letter
    outputs = model(mutants.reshape(-1, LENGTH, 4))
    return {name: y.reshape(len(x), LENGTH, *y.shape[1:]) for name, y in outputs.items()}


def close(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert set(ours) == set(theirs)
    for name, y in ours.items():
        np.testing.assert_allclose(y, theirs[name], rtol=1e-5, atol=1e-5)


def test_it_compiles_and_scans(program: Any, model: Motifs, x: Any) -> None:
    assert not program.plan.naive
    assert [layer.op for layer in program.plan.layers] == ["conv", "reduce_sum", "dense"]
    assert program.plan.layers[0].window == 4
    close(program(x), naive(model, x))
    saturated = program.saturate(x)
    for i, letter in enumerate(np.eye(4, dtype="float32")):
        close({name: y[:, :, i] for name, y in saturated.items()}, naive(model, x, letter))


def test_it_is_verified_by_its_own_oracle(program: Any, model: Motifs) -> None:
    report = program.verify(ranges=LENGTH)
    assert report and len(report.outputs) == 2
    wrong = Motifs(model.kernel + 1, model.head, LENGTH)
    original, program.scorer.naive.model = program.scorer.naive.model, wrong
    with pytest.raises(fc.VerificationError):
        program.verify()
    program.scorer.naive.model = original


def test_its_notes_and_names_reach_the_plan(program: Any) -> None:
    assert "motifs are not trained" in program.plan.notes
    assert repr(program) == f"<CompiledISM of 'motifs': {LENGTH} ranges>"


def test_outputs_are_selected_and_reduced(model: Motifs, x: Any) -> None:
    some = compile_tiles(model, jit=False, outputs={"amount": [1]})
    close(some(x), {"amount": naive(model, x)["amount"][..., [1]]})
    total = compile_tiles(model, jit=False, reduce=lambda outputs: outputs["profile"][:, 0] * 2)
    np.testing.assert_allclose(total(x), naive(model, x)["profile"][:, :, 0] * 2, rtol=1e-5, atol=1e-5)


def test_what_was_read_is_compiled_again_and_again(model: Motifs, x: Any) -> None:
    source = registry.read_model(model)
    before = str(source.graph)
    for outputs in ({"profile": slice(3, 6)}, None):
        program = compile_source(source, CompileOptions(outputs=outputs, jit=False, verify=False, pipeline=TILES))
        whole = naive(model, x)
        close(program(x), {"profile": whole["profile"][:, :, 3:6]} if outputs else whole)
    assert str(source.graph) == before


def test_it_is_exported_and_loaded(program: Any, x: Any, tmp_path: Path) -> None:
    program.export(tmp_path / "program")
    close(fc.load(tmp_path / "program")(x), program(x))
    with pytest.raises(fc.UnsupportedError, match="Keras model"):
        program.to_keras_layer()


def test_the_drop_in_takes_it(model: Motifs, x: Any) -> None:
    fast, slow = fc.FastISM(model), fc.NaiveISM(model)
    for ours, theirs, name in zip(fast(x), slow(x), ("profile", "amount"), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(theirs, naive(model, x)[name], rtol=1e-6)


def test_what_no_frontend_reads_is_refused() -> None:
    with pytest.raises(fc.ModelError, match="list"):
        registry.read_model([])
