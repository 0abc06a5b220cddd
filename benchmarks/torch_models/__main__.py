"""Export every model of the table, and record what PyTorch computes: `python -m benchmarks.torch_models [NAME ...]`.

Needs PyTorch, onnxscript and onnxruntime, the first two of which this package does not.
"""

from __future__ import annotations

import argparse
import io
import sys
import warnings
import zlib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from benchmarks.torch_models.recorded import (
    EXPORTERS,
    FOLDER,
    SEQUENCES,
    file_of,
    mutated,
    positions_of,
    replacements_of,
)
from benchmarks.torch_models.table import MODELS, Model

Array = np.ndarray[Any, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files; 1 if an export fails that should not, or the other way round."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torch_models", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="models (default: all)")
    names = parser.parse_args(arguments).names or list(MODELS)
    warnings.simplefilter("ignore")
    FOLDER.mkdir(parents=True, exist_ok=True)
    surprises = sum(_write(name, MODELS[name]) for name in names)
    size = sum(path.stat().st_size for path in FOLDER.iterdir())
    print(f"{len(names)} models, {size / 1e6:.2f} MB in the folder")
    return int(surprises > 0)


def _write(name: str, model: Model) -> int:
    """One model; how many exports did not end as the table says."""
    seed = zlib.crc32(name.encode())
    network, inputs = build(model, seed)
    _record(name, model, network, inputs)
    network = network.float()
    surprises = 0
    if len(model.refused) == len(EXPORTERS):
        (FOLDER / f"{name}.npz").unlink()  # nothing to compare with it
    for exporter in EXPORTERS:
        path, known = file_of(name, exporter), model.refused.get(exporter)
        path.unlink(missing_ok=True)
        try:
            content = exported(model, network, inputs, exporter)
        except Exception as error:  # whatever an exporter raises
            surprises += known is None
            print(f"{name}.{exporter}: FAILED{'' if known else ' (not in the table)'}: {_first_line(error)}")
            continue
        surprises += known is not None
        path.write_bytes(content)
        print(f"{name}.{exporter}: {len(content) / 1e3:.0f} kB{' (not refused, as the table says)' if known else ''}")
    sys.stdout.flush()
    return surprises


def build(model: Model, seed: int) -> tuple[nn.Module, list[Array]]:
    """The network in evaluation, its weights drawn, and what goes into it."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    inputs = [_sequences(model, rng)]
    inputs += [rng.integers(0, 4, (SEQUENCES, *shape)).astype(np.float32) for shape in model.others]
    network = getattr(import_module(f"benchmarks.torch_models.{model.module}"), model.network)(**model.options).eval()
    with torch.no_grad():
        network(*map(torch.tensor, inputs))  # sizes of layers that find out
        randomize(network)
    return network, inputs


def _sequences(model: Model, rng: np.random.Generator) -> Array:
    """Random letters; the second sequence lacks one."""
    if model.tokens:
        return rng.integers(0, model.tokens, (SEQUENCES, model.length))
    x = np.zeros((SEQUENCES, *model.shape), np.float32)
    letters = model.shape[model.letters - 1]
    for position in range(model.length):
        for row, letter in enumerate(rng.integers(0, letters, SEQUENCES)):
            value = np.eye(letters, dtype=np.float32)[letter] * (row == 0 or position != model.length // 3)
            x[row : row + 1] = mutated(model, x[row : row + 1], position, value)
    return x


def randomize(network: nn.Module) -> None:
    """Draw weights, biases and running statistics: none of them is 0 or 1, and signals keep their size."""
    for name, weight in [*network.named_parameters(), *network.named_buffers()]:
        if not weight.is_floating_point() or name.endswith("fixed"):
            continue
        fan_in = weight[0].numel() if weight.dim() > 1 else 1
        if name.endswith("running_var"):
            weight.uniform_(0.5, 1.5)
        elif weight.dim() > 1 and fan_in > 1:
            weight.normal_(std=(1.5 / fan_in) ** 0.5)
        elif name.endswith(("bias", "running_mean")):
            weight.normal_(std=0.2)
        else:  # scales
            weight.uniform_(0.6, 1.4)


def _record(name: str, model: Model, network: nn.Module, inputs: list[Array]) -> None:
    """Naive in-silico mutagenesis in float64."""
    network, (x, *others) = network.double(), inputs

    def scored(mutants: list[Array]) -> list[Array]:
        """`[N, len(mutants), ...]` for each output."""
        rows = [np.concatenate(mutants), *(np.concatenate([o] * len(mutants)) for o in others)]
        with torch.no_grad():
            made = network(*(torch.tensor(r if r.dtype.kind == "i" else r.astype(np.float64)) for r in rows))
        made = [made] if isinstance(made, torch.Tensor) else list(made)
        return [y.numpy().reshape(len(mutants), len(x), *y.shape[1:]).swapaxes(0, 1) for y in made]

    positions, values = positions_of(model), replacements_of(model)
    found: dict[str, Array] = {f"input{i}": v for i, v in enumerate(inputs)} | {"positions": positions}
    for i, y in enumerate(scored([mutated(model, x, p, v) for p in positions for v in values])):
        spread = y.reshape(len(x), len(positions), len(values), *y.shape[2:]).astype(np.float32)
        effect = np.abs(spread - spread[:, :, :1]).max() / np.abs(spread).max()
        print(f"{name}: output {i} {list(y.shape[2:])}, largest {np.abs(y).max():.2g}, effects {effect:.1e} of it")
        found[f"replaced{i}"] = spread
    if model.every:
        nothing = np.zeros_like(values[0])
        for i, y in enumerate(scored([mutated(model, x, p, nothing) for p in range(model.length)])):
            found[f"zeroed{i}"] = y.astype(np.float32)
    np.savez_compressed(FOLDER / f"{name}.npz", **found)


def exported(model: Model, network: nn.Module, inputs: list[Array], exporter: str) -> bytes:
    """The model as a file, without what exporters note for debugging."""
    count = model.batch or SEQUENCES
    given = tuple(torch.tensor(x[:count]) for x in inputs)
    if exporter == "dynamo":
        batch = torch.export.Dim("batch")
        shapes = None if model.batch else tuple({0: batch} for _ in given)
        proto = torch.onnx.export(network, given, dynamo=True, dynamic_shapes=shapes, verbose=False).model_proto
    else:
        buffer = io.BytesIO()
        names = [f"x{i}" for i in range(len(given))]
        with torch.no_grad():
            made = network(*given)
        results = ["y"] if isinstance(made, torch.Tensor) else [f"y{i}" for i in range(len(made))]
        axes = None if model.batch else {name: {0: "batch"} for name in (*names, *results)}
        torch.onnx.export(
            network, given, buffer, dynamo=False, input_names=names, output_names=results, dynamic_axes=axes
        )
        proto = onnx.load_model_from_string(buffer.getvalue())
    content = stripped(proto).SerializeToString()
    _check(content, network, [np.concatenate([x, x[:1]])[: model.batch] for x in inputs])
    folders = {str(Path.home()), str(Path(__file__).parents[2]), sys.prefix, sys.base_prefix, "site-packages"}
    if any(folder.encode() in content for folder in folders - {"/"}):
        raise AssertionError("the file names a path of this machine")
    return content


def _check(content: bytes, network: nn.Module, inputs: list[Array]) -> None:
    """Whether ONNX Runtime computes what PyTorch does; exporters have faults of their own.

    Raises:
        AssertionError: it does not.
    """
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = session.run(None, dict(zip([x.name for x in session.get_inputs()], inputs, strict=True)))
    with torch.no_grad():
        made = network(*map(torch.tensor, inputs))
    for ours, theirs in zip(found, [made] if isinstance(made, torch.Tensor) else made, strict=True):
        if ours.shape != theirs.shape or not np.allclose(ours, theirs, atol=1e-4 * float(theirs.abs().max())):
            raise AssertionError("the file computes something else than the model")


def stripped(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model without stack traces and inferred shapes; the names of modules stay."""
    graphs = [proto.graph, *proto.functions]
    for holder in [proto, *graphs, *proto.graph.input, *proto.graph.output, *proto.graph.initializer]:
        del holder.metadata_props[:]
        holder.doc_string = ""
    for graph in graphs:
        del graph.value_info[:]
        for node in graph.node:
            scopes = [entry.value for entry in node.metadata_props if entry.key == "pkg.torch.onnx.name_scopes"]
            del node.metadata_props[:]
            node.doc_string = ""
            for value in scopes:
                node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=value)
    return proto


def _first_line(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:160] if lines else ''}"


if __name__ == "__main__":
    raise SystemExit(main())
