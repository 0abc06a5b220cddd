"""TensorFlow's operations that move, copy or cut positions and channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from fastism_compiler.frontend.builder import Decline, refuse_batch
from fastism_compiler.frontend.keras.tensorflow.call import Call, Phases, Rows


def reshape(call: Call) -> Any:
    """Reshapes within each sequence, and from `[B, L, C]` to `Rows` `[B * L, C]` and back."""
    x, shape = call.operands[0], call.shape
    if isinstance(x, Rows):
        inner = x.node.type.shape[1:]
        if shape[0] != call.sequences or math.prod(shape[1:]) != math.prod(n or 0 for n in inner):
            raise Decline("a TensorFlow reshape across sequences")
        return call.builder.add("reshape", x.node, shape=shape[1:])
    if shape and shape[0] == call.sequences:
        return call.builder.add("reshape", x, shape=shape[1:])
    if len(shape) == 2 and shape[1] == x.type.shape[-1] and shape[0] % call.sequences == 0:
        return Rows(call.builder.add("reshape", x, shape=(shape[0] // call.sequences, shape[1])))
    raise Decline("a TensorFlow reshape across sequences")


def transpose(call: Call) -> Any:
    """Transpose that leaves the sequences in front."""
    perm = tuple(int(a) for a in call.constant(1))
    if perm[0] != 0:
        raise Decline("a TensorFlow transpose of the sequences")
    return call.builder.add("transpose", call.operands[0], perm=perm)


def squeeze(call: Call) -> Any:
    """Squeeze and ExpandDims: axes of one element come and go."""
    x, shape = call.operands[0], call.shape
    if isinstance(x, Phases):  # an axis of one element comes or goes beside its own three
        return x
    return call.builder.add("reshape", x, shape=shape[1:])


def strided_slice(call: Call) -> Any:
    """`x[begin:end:strides]` with its five masks."""
    begin, end, strides = (call.constant(i).tolist() for i in (1, 2, 3))
    bits = {name: call[f"{name}_mask"] for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}

    def key(i: int) -> Any:
        if bits["ellipsis"] >> i & 1:
            return Ellipsis
        if bits["new_axis"] >> i & 1:
            return None
        if bits["shrink_axis"] >> i & 1:
            return begin[i]
        first = None if bits["begin"] >> i & 1 else begin[i]
        last = None if bits["end"] >> i & 1 else end[i]
        return slice(first, last, None if strides[i] == 1 else strides[i])

    keys = [key(i) for i in range(len(begin))]
    if keys[0] is not Ellipsis and call.is_batched(call.operands[0]):
        whole = keys[0] in (slice(None), slice(0, None)) or keys[0] in [slice(f, call.sequences) for f in (None, 0)]
        if not whole:
            raise refuse_batch(call.builder, "indexing the batch")
        keys[0] = slice(None)
    return call.apply(lambda x: x[tuple(keys)], call.operands[0])


def cut(call: Call) -> Any:
    """Slice, by begin and size."""
    begin, size = call.constant(1).tolist(), call.constant(2).tolist()
    if begin[0] != 0 or size[0] not in (-1, call.sequences):
        raise refuse_batch(call.builder, "indexing the batch")
    keys = [slice(b, None if n == -1 else b + n) for b, n in zip(begin[1:], size[1:], strict=True)]
    return call.apply(lambda x: x[(slice(None), *keys)], call.operands[0])


def pad(call: Call) -> Any:
    """Pad, PadV2 and MirrorPad."""
    widths = call.constant(1).tolist()
    value = float(call.constant(2)) if call.op.type == "PadV2" else 0
    if any(widths[0]):
        raise refuse_batch(call.builder, "padding the batch")
    if call.op.type == "MirrorPad":
        return call.apply(lambda x: ops.pad(x, widths, mode=call["mode"].decode().lower()), call.operands[0])
    return call.apply(lambda x: ops.pad(x, widths, constant_values=value), call.operands[0])


def concatenate(call: Call) -> Any:
    """ConcatV2 of values of each sequence."""
    *parts, _ = call.operands
    _check_each_batched(call, parts)
    axis = int(call.constant(len(parts))) % call.op.inputs[0].shape.rank
    if axis == 0:
        raise refuse_batch(call.builder, "concatenating sequences")
    return call.apply(lambda *x: ops.concatenate(x, axis=axis), *parts)


def _check_each_batched(call: Call, parts: Sequence[Any]) -> None:
    if not all(call.is_batched(x) for x in parts):
        raise Decline(f"the TensorFlow operation {call.op.type} with a constant part")


def stack(call: Call) -> Any:
    """Pack on a new axis."""
    axis = call["axis"] % len(call.shape)
    if axis == 0:
        raise refuse_batch(call.builder, "stacking sequences")
    _check_each_batched(call, call.operands)
    return call.apply(lambda *x: ops.stack(x, axis=axis), *call.operands)


def unstack(call: Call) -> Any:
    """Unpack."""
    axis = call["axis"] % call.op.inputs[0].shape.rank
    if axis == 0:
        raise refuse_batch(call.builder, "unstacking sequences")
    return listed(call.apply(lambda x: ops.unstack(x, axis=axis), call.operands[0]))


def split(call: Call) -> Any:
    """Split (operands axis, value) and SplitV (operands value, sizes, axis)."""
    if call.op.type == "Split":
        axis, x, ends = int(call.constant(0)), call.operands[1], call["num_split"]
    else:
        x, axis = call.operands[0], int(call.constant(2))
        ends = np.cumsum(call.constant(1))[:-1].tolist()
    return listed(call.apply(lambda t: ops.split(t, ends, axis=axis), x))


def listed(x: Any) -> list[Any]:
    """Results as a list."""
    return x if isinstance(x, list) else [x]


def gather(call: Call) -> Any:
    """GatherV2 at constant indices, or of table rows by token."""
    x, axis = call.operands[0], int(call.constant(2))
    if call["batch_dims"] == axis == 0 and not call.is_batched(x) and call.op.inputs[0].shape.rank == 2:
        return call.builder.add("embedding", call.operands[1], x)
    if call["batch_dims"] != 0 or not call.is_batched(x) or axis == 0:
        raise Decline("a TensorFlow gather from a table")
    places = call.constant(1)
    return call.apply(lambda t: ops.take(t, places, axis=axis), x)


def tile(call: Call) -> Any:
    """Tile."""
    counts = call.constant(1).tolist()
    if counts[0] != 1:
        raise refuse_batch(call.builder, "repeating sequences")
    return call.apply(lambda t: ops.tile(t, counts), call.operands[0])


def flip(call: Call) -> Any:
    """ReverseV2."""
    axis = call.axis(1)
    return call.apply(lambda t: ops.flip(t, axis=axis), call.operands[0])


def roll(call: Call) -> Any:
    """Roll."""
    shift, axis = call.constant(1).tolist(), call.axis(2)
    return call.apply(lambda t: ops.roll(t, shift, axis=axis), call.operands[0])
