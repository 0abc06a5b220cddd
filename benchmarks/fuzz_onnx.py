"""The fuzzer of ONNX graphs: random models, compiled, against ONNX Runtime at every position.

python -m benchmarks.fuzz_onnx --models 1000          # prints a summary; a failing model is written to a file

Each is a chain of blocks as exporters write them: convolutions with channels in front of positions, transposes,
reshapes that merge and split axes, heads, recurrences with positions in front of sequences, shapes computed from the
batch size.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import onnxruntime
from fastism_compiler.passes.choose_program import ChooseProgramPass

import fastism_compiler as fc
from benchmarks.onnx_nets import Net
from fastism_compiler.runtime.traced import op_by_op

LETTERS = 4
TOLERANCE = 1e-5
"""Largest difference from ONNX Runtime, relative to the largest output; beyond it float64 decides."""
FACTOR = 4
"""How many times further from float64 than ONNX Runtime a program may be."""
TILES = fc.default_pipeline().replace("choose-program", ChooseProgramPass(break_even=0))


@dataclass(slots=True)
class Draft:
    """The latest value `[B, channels, length]` of a graph under construction.

    Attributes:
        net: the graph.
        name: of the value.
        channels: its channels.
        length: its positions.
        rng: random generator.
    """

    net: Net
    name: str
    channels: int
    length: int
    rng: Any

    def pick(self, *options: Any) -> Any:
        """One of several."""
        return options[int(self.rng.integers(len(options)))]

    def add(self, kind: str, *operands: Any, **attributes: Any) -> Any:
        """An operator of the value."""
        return self.net.add(kind, self.name, *operands, **attributes)


Block = Callable[[Draft], None]
"""Adds operators to a draft, and updates its value."""


def _ints(*values: int) -> Any:
    return np.array(values, np.int64)


def _convolution(d: Draft) -> None:
    taps, dilation, stride = d.pick(1, 2, 3, 5), d.pick(1, 1, 2), d.pick(1, 1, 1, 2)
    reach = (taps - 1) * dilation + 1
    left, right = d.pick((0, 0), (reach // 2, reach // 2), (reach - 1, 0))
    if d.length + left + right < reach:
        return
    groups = d.pick(1, 1, 2, d.channels)
    groups = groups if d.channels % groups == 0 else 1
    filters = groups * d.pick(1, 2, 3)
    shape, bias = (filters, d.channels // groups, taps), d.pick(True, False)
    d.name = d.add("Conv", shape, *([(filters,)] if bias else []), pads=[left, right], group=groups,
                   strides=[stride], dilations=[dilation])  # fmt: skip
    d.channels, d.length = filters, (d.length + left + right - reach) // stride + 1


def _function(d: Draft) -> None:
    kind = d.pick("Relu", "Sigmoid", "Tanh", "Elu", "Softplus", "LeakyRelu", "Erf", "HardSwish", "Mish", "Abs")
    d.name = d.add(kind)


def _gelu(d: Draft) -> None:
    """As exporters spell it."""
    erf = d.net.add("Erf", d.add("Div", np.float32(np.sqrt(2))))
    d.name = d.net.add("Mul", d.add("Mul", d.net.add("Add", erf, np.float32(1))), np.float32(0.5))


def _pool(d: Draft) -> None:
    size = d.pick(2, 3)
    if d.length < 2 * size:
        return
    stride, ceil = d.pick(size, 1), d.pick(0, 1)
    kind = d.pick("MaxPool", "AveragePool")
    apart = d.pick(1, 2) if kind == "MaxPool" and not ceil and d.length >= 2 * size else 1
    dilated = {"dilations": [apart]} if apart > 1 else {}
    d.name = d.add(kind, kernel_shape=[size], strides=[stride], ceil_mode=ceil, **dilated)
    rest = d.length - (size - 1) * apart - 1
    d.length = (-(-rest // stride) if ceil else rest // stride) + 1


def _norm(d: Draft) -> None:
    kind = d.pick("batch", "layer", "affine")
    if kind == "batch":
        values = [d.rng.standard_normal(d.channels).astype("f4") for _ in range(3)]
        spread = (np.abs(d.rng.standard_normal(d.channels)) + 0.5).astype("f4")
        d.name = d.add("BatchNormalization", *values, spread)
    elif kind == "affine":
        d.name = d.net.add("Add", d.add("Mul", (d.channels, 1)), (1, d.channels, 1))
    else:
        turned = d.add("Transpose", perm=[0, 2, 1])
        made = d.net.add("LayerNormalization", turned, (d.channels,), (d.channels,))
        d.name = d.net.add("Transpose", made, perm=[0, 2, 1])


def _residual(d: Draft) -> None:
    before, name = (d.channels, d.length), d.name
    inner = d.net.add("Conv", name, (d.channels, d.channels, 3), pads=[1, 1])
    d.name = d.net.add(d.pick("Add", "Sub", "Mul", "Max"), name, d.net.add("Relu", inner))
    d.channels, d.length = before


def _branches(d: Draft) -> None:
    """Two convolutions side by side."""
    parts = [d.net.add("Conv", d.name, (2, d.channels, taps), pads=[taps // 2, taps // 2]) for taps in (1, 3)]
    d.name, d.channels = d.net.add("Concat", *parts, axis=1), 4


def _crop(d: Draft) -> None:
    if d.length < 6:
        return
    begin, end = d.pick(0, 1, 2), d.pick(0, 1)
    d.name = d.add("Slice", _ints(begin), _ints(d.length - end), _ints(2))
    d.length -= begin + end


def _flip(d: Draft) -> None:
    axis = d.pick(1, 2)
    d.name = d.add("Slice", _ints(-1), _ints(-(2**63)), _ints(axis), _ints(-1))


def _pad(d: Draft) -> None:
    mode, left, right = d.pick("constant", "edge", "reflect"), d.pick(0, 1, 2), d.pick(0, 2)
    if d.length <= 2:
        return
    d.name = d.add("Pad", _ints(0, 0, left, 0, 0, right), mode=mode)
    d.length += left + right


def _split(d: Draft) -> None:
    """A gate: half of the channels by the sigmoid of the others."""
    if d.channels % 2:
        return
    half = d.channels // 2
    first, second = d.net.add("Split", d.name, _ints(half, half), results=2, axis=1)
    d.name, d.channels = d.net.add("Mul", first, d.net.add("Sigmoid", second)), half


def _dense(d: Draft) -> None:
    """A product over channels, in one of the ways exporters write it."""
    filters = d.pick(2, 3, 4)
    way = d.pick("turned", "left", "rows", "einsum")
    if way == "left":
        d.name = d.net.add("MatMul", d.net.weight((filters, d.channels)), d.name)
    elif way == "einsum":
        d.name = d.add("Einsum", (d.channels, filters), equation="bcl,cf->bfl")
    else:
        turned = d.add("Transpose", perm=[0, 2, 1])
        if way == "rows":
            rows = d.net.add("Reshape", turned, _ints(-1, d.channels))
            made = d.net.add("Gemm", rows, (filters, d.channels), (filters,), transB=1)
            turned = d.net.add("Reshape", made, _ints(-1, d.length, filters))
        else:
            turned = d.net.add("MatMul", turned, (d.channels, filters))
        d.name = d.net.add("Transpose", turned, perm=[0, 2, 1])
    d.channels = filters


def _attention_pool(d: Draft) -> None:
    """Pairs of positions weighted by a softmax of their scores."""
    if d.length % 2 or d.length < 4:
        return
    pairs = d.add("Reshape", _ints(0, d.channels, d.length // 2, 2))
    weights = d.net.add("Softmax", d.net.add("Mul", pairs, np.float32(0.7)), axis=-1)
    d.name = d.net.add("ReduceSum", d.net.add("Mul", pairs, weights), _ints(-1), keepdims=0)
    d.length //= 2


def _upsample(d: Draft) -> None:
    if d.length > 40:
        return
    factor, where = d.pick(2, 3), d.pick("asymmetric", "half_pixel")
    scales = np.array([1, 1, factor], "f4")
    how = d.pick({"mode": "linear"}, {"mode": "nearest", "nearest_mode": "floor"})
    where = where if how["mode"] == "linear" else "asymmetric"
    d.name = d.add("Resize", None, scales, coordinate_transformation_mode=where, **how)
    d.length *= factor


def _recurrence(d: Draft) -> None:
    """An LSTM or GRU over positions, in front of sequences, both directions put on the channels."""
    kind, gates = d.pick(("LSTM", 4), ("GRU", 3))
    turned = d.add("Transpose", perm=[2, 0, 1])
    weights = [(2, gates * 2, d.channels), (2, gates * 2, 2), (2, 2 * gates * 2)]
    extra = {"linear_before_reset": 1} if kind == "GRU" else {}
    results = d.net.add(kind, turned, *weights, results=3 if kind == "LSTM" else 2, hidden_size=2,
                        direction="bidirectional", **extra)  # fmt: skip
    joined = d.net.add("Reshape", d.net.add("Transpose", results[0], perm=[0, 2, 1, 3]), _ints(0, 0, 4))
    d.name, d.channels = d.net.add("Transpose", joined, perm=[1, 2, 0]), 4


def _attention(d: Draft) -> None:
    """Two heads folded into the batch axis, whose size the graph computes by `Shape`."""
    turned = d.add("Transpose", perm=[2, 0, 1])
    count = d.net.add("Unsqueeze", d.net.add("Gather", d.net.add("Shape", turned), np.int64(1), axis=0), _ints(0))
    folded = d.net.add("Concat", _ints(d.length), d.net.add("Mul", count, _ints(2)), _ints(2), axis=0)
    heads = []
    for _ in range(3):
        made = d.net.add("Reshape", d.net.add("MatMul", turned, (d.channels, 4)), folded)
        heads.append(d.net.add("Transpose", made, perm=[1, 0, 2]))
    scores = d.net.add("MatMul", heads[0], d.net.add("Transpose", heads[1], perm=[0, 2, 1]))
    mixed = d.net.add("MatMul", d.net.add("Softmax", scores, axis=-1), heads[2])
    shape = d.net.add("Concat", _ints(d.length), count, _ints(4), axis=0)
    back = d.net.add("Reshape", d.net.add("Transpose", mixed, perm=[1, 0, 2]), shape)
    d.name, d.channels = d.net.add("Transpose", back, perm=[1, 2, 0]), 4


BLOCKS: tuple[tuple[Block, int], ...] = (
    (_convolution, 6), (_function, 4), (_gelu, 1), (_pool, 2), (_norm, 2), (_residual, 2), (_branches, 1), (_crop, 1),
    (_flip, 1), (_pad, 1), (_split, 1), (_dense, 2), (_attention_pool, 1), (_upsample, 1), (_recurrence, 1),
    (_attention, 1),
)  # fmt: skip
"""Blocks, and how often each is drawn."""


def _heads(d: Draft) -> list[str]:
    """One output, or two: a profile, a Dense layer over all positions, or a mean or maximum."""
    flat = d.net.add("Gemm", d.add("Flatten"), (d.channels * d.length, 3), (3,))
    pooled = d.net.add("Flatten", d.add(d.pick("GlobalMaxPool", "GlobalAveragePool")))
    mean = d.add("ReduceMean", _ints(-1), keepdims=0)
    outputs = [d.name if d.name != d.net.x else d.add("Identity"), flat, pooled, mean]
    chosen = d.rng.permutation(len(outputs))[: d.pick(1, 2)]
    return [outputs[i] for i in chosen]


def draw(seed: int) -> tuple[Any, int]:
    """A random model, and the length of its sequences."""
    rng = np.random.default_rng(seed)
    length = int(rng.integers(9, 31))
    net = Net(LETTERS, length)
    net.rng = rng
    draft = Draft(net, net.x, LETTERS, length, rng)
    blocks = [block for block, weight in BLOCKS for _ in range(weight)]
    for number in rng.integers(len(blocks), size=rng.integers(2, 8)):
        if draft.length >= 3:
            blocks[number](draft)
    return net.model(*_heads(draft)), length


def check(seed: int) -> str:
    """Compile a random model and compare all positions; what became of its first output.

    Raises:
        AssertionError: a difference that rounding does not explain.
        FastISMError: it is refused.
    """
    model, length = draw(seed)
    rng = np.random.default_rng(seed + 1)
    x = np.eye(LETTERS, dtype="f4")[rng.integers(0, LETTERS, (2, length))].transpose(0, 2, 1)
    program = fc.compile(model, jit=False, verify=False, pipeline=TILES)
    with op_by_op():
        ours = program(x)
    ours = ours if isinstance(ours, list) else [ours]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    mutants = np.repeat(x[:, None], length, axis=1)
    mutants[:, np.arange(length), :, np.arange(length)] = 0
    flat = mutants.reshape(-1, LETTERS, length)
    theirs = session.run(None, {"x": flat})
    exact = None
    for number, (y, z) in enumerate(zip(ours, theirs, strict=True)):
        expected = z.reshape(2, length, *z.shape[1:])
        error, largest = np.abs(y - expected).max(), np.abs(expected).max()
        if error <= TOLERANCE * max(largest, 1e-3):
            continue
        exact = exact or program.naive.in_float64()([flat.transpose(0, 2, 1)])
        truth = exact[number].reshape(expected.shape)
        off, theirs_off = np.abs(y - truth).max(), np.abs(expected - truth).max()
        assert off <= FACTOR * theirs_off + 1e-6 * largest, f"output {number}: {off:.2e}, ONNX Runtime {theirs_off:.2e}"
    return "windowed" if not program.plan.stops else "stopped"


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit code 1 for a mismatch or a crash."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the summary here")
    options = parser.parse_args(arguments)
    started, outcomes, failures = time.perf_counter(), Counter[str](), []
    for seed in range(options.seed, options.seed + options.models):
        try:
            outcomes[check(seed)] += 1
        except Exception as error:  # a crash is what is looked for
            failures.append({"seed": seed, "error": f"{type(error).__name__}: {error}"[:400]})
            Path(f"fuzz_failure_{seed}.onnx").write_bytes(draw(seed)[0].SerializeToString())
            print(json.dumps(failures[-1]), flush=True)
    summary = {"models": options.models, **outcomes, "failures": failures, "seed": options.seed,
               "seconds": round(time.perf_counter() - started, 1)}  # fmt: skip
    print(json.dumps(summary, indent=2))
    if options.json:
        options.json.write_text(json.dumps(summary, indent=2) + "\n")
    return int(bool(failures))


if __name__ == "__main__":
    raise SystemExit(main())
