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
COMPILED = [
    ("bpnet_control", "dynamo"),
    ("deepsea", "script"),
    ("protein", "script"),
    ("danq_steps_first", "script"),
    ("enformer", "dynamo"),
]
"""Exports that are compiled in full."""
TOLERANCE = 1e-5
"""Of the largest output."""
EFFECTS = 1e-2
"""Of the largest effect, which may be a thousandth of the output."""


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
    """Compare outputs `[N, P, V, ...]`, and the effects of letters at one position against each other."""
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE * np.abs(theirs).max())
    own, effects = ours - ours[:, :, :1], theirs - theirs[:, :, :1]
    np.testing.assert_allclose(own, effects, rtol=0, atol=EFFECTS * np.abs(effects).max())


@pytest.mark.parametrize(("name", "exporter"), FILES)
def test_the_graph_computes_what_pytorch_does(name: str, exporter: str) -> None:
    """Whole mutants, op by op."""
    model, source = MODELS[name], source_of(name, exporter)
    x, *others = recorded(name, "input")
    positions, values = positions_of(model), replacements_of(model)
    mutants = [mutated(model, x, p, v) for p in positions for v in values]
    count = len(mutants)
    if model.every:
        mutants += [mutated(model, x, p, np.zeros_like(values[0])) for p in range(model.length)]
    rows, layout = np.concatenate(mutants), source.inputs.layout
    rows = [layout.read(rows) if layout else rows, *(np.concatenate([o] * len(mutants)) for o in others)]
    computed = Values(source.graph, source.bindings, [tf.constant(r) for r in rows]).run()
    for number, node in enumerate(source.graph.outputs):
        ours = computed[node].numpy().reshape(len(mutants), len(x), *node.type.shape[1:]).swapaxes(0, 1)
        by_letter = ours[:, :count].reshape(len(x), len(positions), len(values), *ours.shape[2:])
        close(by_letter, recorded(name, "replaced")[number])
        if model.every:
            close(ours[:, None, count:], recorded(name, "zeroed")[number][:, None])


@pytest.mark.parametrize(("name", "exporter"), COMPILED)
def test_the_program_computes_what_pytorch_does(name: str, exporter: str) -> None:
    model, inputs = MODELS[name], recorded(name, "input")
    positions, values = positions_of(model), replacements_of(model)
    chosen = range(model.length) if model.every else positions
    ranges = [(int(p), int(p) + 1) for p in chosen]
    file = str(file_of(name, exporter))
    program = compile_tiles(file, ranges=ranges, jit=False, verify=False, **options_of(model))

    def scored(value: Any) -> list[Array]:
        replacement = np.stack([np.asarray(value)[None]] * len(ranges))
        scores = program(inputs if len(inputs) > 1 else inputs[0], replacement)
        return scores if isinstance(scores, list) else [scores]

    made = [scored(value) for value in values]
    places = [list(chosen).index(p) for p in positions]
    for number, theirs in enumerate(recorded(name, "replaced")):
        close(np.stack([scores[number][:, places] for scores in made], axis=2), theirs)
    for ours, theirs in zip(made[-1], recorded(name, "zeroed"), strict=False):
        close(ours[:, None], theirs[:, None])


WINDOWED: dict[str, tuple[float, str]] = {
    # profiles
    "bpnet": (1.0, ""),
    "bpnet_control": (1.0, ""),
    "chrombpnet": (1.0, ""),
    "spliceai": (1.0, ""),
    "pangolin": (1.0, ""),
    "openspliceai": (1.0, ""),
    "unet": (1.0, ""),
    "unet_nearest": (1.0, ""),
    # convolutions, then dense layers: all but the layers behind the first dense one
    "basset": (0.99, ""),
    "deepsea": (0.98, ""),
    "deepsea_threshold": (0.98, ""),
    "beluga": (1.0, ""),
    "sei": (1.0, ""),
    "malinois": (1.0, "keras_call"),
    "legnet": (0.22, "concat multiply"),  # the first squeeze and excite
    "deepstarr": (0.98, ""),
    "resnet": (1.0, ""),
    "explainn": (0.98, "reshape"),
    "protein": (1.0, ""),
    # recurrences and attention
    "danq": (0.88, "recurrence"),
    "danq_steps_first": (0.88, "recurrence"),
    "gru": (0.46, "recurrence"),
    "encoder": (0.6, "add keras_call"),
    "encoder_steps_first": (0.6, "add keras_call"),
    "attention": (0.81, "add keras_call"),
    "enformer": (0.89, "add keras_call"),
    "tokens": (0.35, "add keras_call"),
    # single features
    "letters_last": (1.0, ""),
    "groups": (0.47, "subtract"),  # the first norm over all positions
    "activations": (1.0, ""),
    "weight_norm": (1.0, ""),
    "spectral_norm": (1.0, ""),
    "adaptive_pool": (1.0, ""),
    "adaptive_max_pool": (1.0, ""),
    "adaptive_uneven": (1.0, ""),
    "one_task": (0.96, ""),
    "one_sequence": (0.98, ""),
    "one_danq": (0.88, "recurrence"),
    "one_encoder": (0.6, "add keras_call"),
    "both_strands": (1.0, ""),
    "convnext": (1.0, ""),
}
"""Share of multiply-adds in ops of which a mutation changes a part; and the ops at which that ends."""


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
    expected = {file_of(name, exporter).name for name, exporter in FILES} | {f"{name}.npz" for name, _ in FILES}
    assert {path.name for path in FOLDER.iterdir()} == expected
    contents = [path.read_bytes() for path in FOLDER.iterdir()]
    assert max(map(len, contents)) < 100_000
    assert sum(map(len, contents)) < 4_000_000
    assert not any(b".py" in content for content in contents), "stack traces"
    assert set(WINDOWED) == {name for name, _ in FILES}
