"""What the fuzzer draws: random models as plain data (see `fuzz_layers` for what a spec means)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from benchmarks.fuzz_layers import BLOCKS, CHANNELS, FUNCTIONS, HEADS, SPECIAL

Spec = dict[str, Any]

ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu", "gelu", "softplus", "silu", "softmax", "leaky_relu")
JOINS = ("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average", "Concatenate")
MODES = (*["float64"] * 14, "float32", "float32", "integers", "integers", "traced", "jitted", "special")
"""How a spec is checked: mostly op by op; a traced graph or XLA takes ten times as long.

Hypothesis often repeats earlier draws, so about one model in ten is jitted.
"""


def _convolution(draw: Any) -> Spec:
    stride = draw(st.sampled_from([1, 1, 1, 2, 3]))
    return {
        "layer": "Conv1D",
        "config": {
            # few and many filters and taps: `ir.kernels.scatter_gemm` tells them apart
            "filters": 2 * draw(st.integers(1, 4)),
            "kernel_size": draw(st.sampled_from([1, 2, 3, 4, 5, 6, 7, 14])),
            "padding": draw(st.sampled_from(["valid", "same", "same", "causal"])),
            "strides": stride,
            "dilation_rate": 1 if stride > 1 else draw(st.sampled_from([1, 1, 2, 3])),
            "groups": draw(st.sampled_from([1, 1, 1, 2])),
            "activation": draw(st.sampled_from([None, *ACTIVATIONS])),
        },
    }


def _linear(draw: Any) -> Spec:
    """A convolution that `compose-convolutions` takes together with one like it: stride 1, one group, no activation."""
    node = _convolution(draw)
    return {**node, "config": {**node["config"], "strides": 1, "groups": 1, "activation": None}}


def _depthwise(draw: Any) -> Spec:
    config = {
        "kernel_size": draw(st.integers(1, 5)),
        "padding": draw(st.sampled_from(["valid", "same"])),
        "strides": draw(st.sampled_from([1, 1, 2])),
    }
    if draw(st.booleans()):
        return {"layer": "DepthwiseConv1D", "config": {**config, "depth_multiplier": draw(st.integers(1, 2))}}
    return {"layer": "SeparableConv1D", "config": {**config, "filters": 4}}


def _transposed(draw: Any) -> Spec:
    config = {
        "filters": 2,
        "kernel_size": draw(st.integers(1, 5)),
        "strides": draw(st.integers(1, 3)),
        "padding": draw(st.sampled_from(["valid", "same"])),
    }
    return {"layer": "Conv1DTranspose", "config": config}


def _pool(draw: Any) -> Spec:
    config = {
        "pool_size": draw(st.integers(1, 5)),
        "strides": draw(st.sampled_from([None, 1, 2, 3, 6])),
        "padding": draw(st.sampled_from(["valid", "same"])),
    }
    return {"layer": draw(st.sampled_from(["MaxPooling1D", "AveragePooling1D"])), "config": config}


def _cut(draw: Any) -> Spec:
    sides = (draw(st.integers(0, 3)), draw(st.integers(0, 3)))
    if draw(st.booleans()):
        return {"layer": "ZeroPadding1D", "config": {"padding": sides}}
    return {"layer": "Cropping1D", "config": {"cropping": sides}}


_SIMPLE = (
    ("BatchNormalization", {}),
    ("LayerNormalization", {}),
    ("LayerNormalization", {"axis": 1}),
    ("RMSNormalization", {}),
    ("UnitNormalization", {}),
    ("GroupNormalization", {"groups": 1}),
    ("PReLU", {}),
    ("PReLU", {"shared_axes": [1]}),
    ("Dropout", {"rate": 0.5}),
    ("Dense", {"units": 4, "activation": "relu"}),
    ("UpSampling1D", {"size": 2}),
    ("Activation", {"activation": "hard_sigmoid"}),
    ("Rescaling", {"scale": 0.5, "offset": 0.1}),
)


def _simple(draw: Any) -> Spec:
    layer, config = draw(st.sampled_from(_SIMPLE))
    return {"layer": layer, "config": dict(config)}


def _function(draw: Any) -> Spec:
    return {"function": draw(st.sampled_from(sorted(FUNCTIONS)))}


def _block(draw: Any) -> Spec:
    return {"block": draw(st.sampled_from(sorted(BLOCKS)))}


def _rare(draw: Any) -> Spec:
    return draw(st.sampled_from([{"side": "positions"}, {"side": "sequence"}, {"again": 0}, {"again": 1}]))


def _join(draw: Any) -> Spec:
    return {"join": draw(st.sampled_from([*JOINS, "concat_positions", "gate", "attend"]))}


_KINDS = (
    (_convolution,) * 2
    + (_linear,) * 2
    + (_pool,) * 2
    + (_depthwise, _transposed, _cut, _simple, _function, _block, _rare)
)


def _is_linear(node: Spec) -> bool:
    return "activation" in node.get("config", {}) and node["config"]["activation"] is None


@st.composite
def specs(draw: Any) -> Spec:
    """Random model specs; small ones first, so that failures shrink. Two in five begin with a linear chain."""
    chain = draw(st.sampled_from([0, 0, 0, 2, 3]))
    nodes: list[Spec] = [{**_linear(draw), "inputs": [k]} for k in range(chain)]
    for k in range(chain, chain + draw(st.integers(1, 6))):
        # consecutive linear convolutions more often than by chance
        kinds = [_linear] if k and _is_linear(nodes[-1]) and draw(st.booleans()) else _KINDS
        node = draw(st.sampled_from([*kinds, *([_join] * 3 if k and kinds is _KINDS else [])]))(draw)
        if "join" in node:
            node["inputs"] = [k, draw(st.integers(0, k))]
        else:
            node["inputs"] = [draw(st.sampled_from([k, k, k, max(k - 1, 0)]))]
        nodes.append(node)
    heads = draw(st.lists(st.sampled_from(sorted(HEADS)), min_size=1, max_size=2))
    kind = draw(st.sampled_from(["letters", "letters", "letters", "tokens"]))
    return {"length": draw(st.integers(5, 32)), "input": kind, "nodes": nodes, "heads": heads}


def _whole_numbers(draw: Any) -> Spec:
    """Nodes that keep small integers exact in float32."""
    kind = draw(st.sampled_from([_convolution, _convolution, _depthwise, _transposed, _pool, _cut]))
    node = kind(draw)
    if node["layer"] == "AveragePooling1D":
        node["layer"] = "MaxPooling1D"
    if "activation" in node["config"]:
        node["config"]["activation"] = draw(st.sampled_from([None, None, "relu"]))
    return node


@st.composite
def integer_specs(draw: Any) -> Spec:
    """Specs of at most three layers whose arithmetic is exact on small integers."""
    nodes = []
    for k in range(draw(st.integers(1, 3))):
        join = k and draw(st.booleans())
        if join:
            kinds = ["Add", "Subtract", "Maximum", "Minimum", "Concatenate", "concat_positions"]
            node = {"join": draw(st.sampled_from(kinds)), "inputs": [k, draw(st.integers(0, k))]}
        else:
            node = {**_whole_numbers(draw), "inputs": [k]}
        nodes.append(node)
    heads = [draw(st.sampled_from(["flat", "gmp", "positions", "sum", "lowest", "one_position", "pool_dense"]))]
    return {"length": draw(st.integers(5, 24)), "input": "letters", "nodes": nodes, "heads": heads}


@st.composite
def special_specs(draw: Any) -> Spec:
    """Specs of one-hot letters whose values are finite, and whose mutants have NaN or infinities in them."""
    spec = draw(specs())
    first = {"function": draw(st.sampled_from(sorted(SPECIAL))), "inputs": [0]}
    later = [{**node, "inputs": [i + 1 for i in node["inputs"]]} for node in spec["nodes"]]
    return {**spec, "input": "letters", "nodes": [first, *later]}


_SPECS = {"integers": integer_specs, "special": special_specs}


@st.composite
def cases(draw: Any, modes: Sequence[str] = MODES) -> dict[str, Any]:
    """A spec, how to check it, a few change ranges of any width, edges likely, and which channels hold letters.

    Relations cost two more programs, so one case in three is held to them.
    """
    mode = draw(st.sampled_from(modes))
    spec = draw(_SPECS.get(mode, specs)())
    length, ranges = spec["length"], []
    for _ in range(draw(st.integers(1, 4))):
        width = draw(st.integers(1, min(8, length)))
        start = draw(st.one_of(st.just(0), st.just(length - width), st.integers(0, length - width)))
        ranges.append((start, start + width))
    relations = mode not in ("traced", "jitted", "special") and draw(st.integers(0, 2)) == 0
    some = st.lists(st.integers(0, CHANNELS - 1), min_size=1, max_size=CHANNELS, unique=True)
    letters = spec.get("input", "letters") == "letters"
    channels = draw(st.one_of(st.none(), st.none(), some)) if letters and mode != "special" else None
    return {"mode": mode, "relations": relations, "spec": spec, "ranges": ranges, "channels": channels}
