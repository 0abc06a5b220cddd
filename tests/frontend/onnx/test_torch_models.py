"""Models exported from PyTorch, against what PyTorch itself computed (`python -m benchmarks.torch_models`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.ir.arithmetic import naive_total, whole_multiply_adds
from fastism_compiler.passes.base import Context
from fastism_compiler.passes.canonicalize import CanonicalizePass
from fastism_compiler.passes.classify_layers import ClassifyLayersPass
from fastism_compiler.passes.demand import DemandPass
from fastism_compiler.passes.pipeline import Pipeline
from fastism_compiler.passes.propagate_ranges import PropagateRangesPass

from benchmarks.torch_models.recorded import (
    EXPORTERS,
    FOLDER,
    file_of,
    mutated,
    positions_of,
    replacements_of,
)
from benchmarks.torch_models.table import MODELS, Model
from fastism_compiler.emit.reference import Values
from fastism_compiler.frontend.registry import read_model
from fastism_compiler.frontend.source import ReadOptions
from tests.programs import compile_tiles

Array = np.ndarray[Any, Any]

FILES = [(name, exporter) for name, m in MODELS.items() for exporter in EXPORTERS if exporter not in m.refused]
ANALYSES = Pipeline((CanonicalizePass(), ClassifyLayersPass(), DemandPass(), PropagateRangesPass()))
COMPILED = [("bpnet_control", "dynamo"), ("basset", "script"), ("deepsea", "dynamo")]
"""Exports that are compiled in full."""
TOLERANCE = 1e-5
"""Of the largest output."""


def recorded(name: str, kind: str) -> list[Array]:
    """The arrays `kind0`, `kind1`, ... of a model."""
    with np.load(FOLDER / f"{name}.npz") as archive:
        return [archive[f"{kind}{i}"] for i in range(len(archive.files)) if f"{kind}{i}" in archive.files]


def options_of(model: Model) -> dict[str, Any]:
    """How letters are told from positions."""
    return {} if model.tokens else {"alphabet": "ACGTNR"[: model.shape[model.letters - 1]]}


def source_of(name: str, exporter: str) -> Any:
    model = MODELS[name]
    letters = None if model.tokens else model.shape[model.letters - 1]
    return read_model(str(file_of(name, exporter)), ReadOptions(letters=letters))


def close(ours: Array, theirs: Array) -> None:
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE * np.abs(theirs).max())


@pytest.mark.parametrize(("name", "exporter"), FILES)
def test_the_graph_computes_what_pytorch_does(name: str, exporter: str) -> None:
    """Whole mutants, op by op."""
    model, source = MODELS[name], source_of(name, exporter)
    x, *others = recorded(name, "input")
    positions, values = positions_of(model), replacements_of(model)
    mutants = np.concatenate([mutated(model, x, p, v) for p in positions for v in values])
    layout = source.inputs.layout
    rows = [layout.read(mutants) if layout else mutants]
    rows += [np.concatenate([o] * (len(mutants) // len(o))) for o in others]
    computed = Values(source.graph, source.bindings, [tf.constant(r) for r in rows]).run()
    for node, theirs in zip(source.graph.outputs, recorded(name, "replaced"), strict=True):
        ours = computed[node].numpy().reshape(len(positions), len(values), len(x), *node.type.shape[1:])
        close(np.moveaxis(ours, 2, 0), theirs)


@pytest.mark.parametrize(("name", "exporter"), COMPILED)
def test_the_program_computes_what_pytorch_does(name: str, exporter: str) -> None:
    model, inputs = MODELS[name], recorded(name, "input")
    positions, values = positions_of(model), replacements_of(model)
    ranges = [(int(p), int(p) + 1) for p in positions]
    program = compile_tiles(str(file_of(name, exporter)), ranges=ranges, jit=False, verify=False, **options_of(model))
    for number, value in enumerate(values):
        replacement = np.stack([np.asarray(value)[None]] * len(ranges))
        made = program(inputs if len(inputs) > 1 else inputs[0], replacement)
        for ours, theirs in zip(made if isinstance(made, list) else [made], recorded(name, "replaced"), strict=True):
            close(ours, theirs[:, :, number])


WINDOWED: dict[str, tuple[float, str]] = {
    "bpnet": (1.0, ""),
    "bpnet_control": (1.0, ""),
    "chrombpnet": (1.0, ""),
    "basset": (0.99, ""),
    "deepsea": (0.98, ""),
}
"""Share of multiply-adds in ops of which a mutation changes a part, at least; and the ops that stop."""


@pytest.mark.parametrize(("name", "exporter"), FILES)
def test_what_a_mutation_changes_in_part_has_a_window(name: str, exporter: str) -> None:
    graph = source_of(name, exporter).graph
    graph = ANALYSES.run(graph, Context(ranges=ChangeRanges.of(None, MODELS[name].length)))
    nodes = [node for node in graph.nodes() if not node.is_constant]
    inside = sum(whole_multiply_adds(node) for node in nodes if node.has_window)
    share = inside / naive_total(graph)
    stops = sorted({node.op for node in nodes if node.facts.reason})
    assert (round(share, 2), " ".join(stops)) == WINDOWED[name]


def test_every_file_is_in_the_table() -> None:
    expected = {file_of(name, exporter).name for name, exporter in FILES} | {f"{name}.npz" for name in MODELS}
    assert {path.name for path in FOLDER.iterdir()} == expected
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 4_000_000
    assert set(WINDOWED) == set(MODELS)
