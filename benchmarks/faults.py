"""Faults that the fuzzer must detect: each breaks one thing in the compiler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import tensorflow as tf
from fastism_compiler.ir import Carrier, checks
from fastism_compiler.ir.position_map import PositionMap
from fastism_compiler.passes import compose_convolutions, demand

from fastism_compiler.emit import composition, rows, tables, tile
from fastism_compiler.emit.kernels import kernel_rows, overlap_add, scatter_gemm, table, winograd
from fastism_compiler.frontend.keras import convolutions
from fastism_compiler.runtime import blocks, halves

Wrong = Callable[..., Any]
"""A faulty replacement of a function; it is called with the original function, then its arguments."""


@contextmanager
def _broken(owner: Any, name: str, wrong: Wrong) -> Iterator[None]:
    """Put `wrong` in the place of a function or a table's entry for a while."""
    table = owner if isinstance(owner, dict) else None
    right = table[name] if table is not None else getattr(owner, name)

    def put(value: Any) -> None:
        if table is not None:
            table[name] = value
        else:
            setattr(owner, name, value)

    put(lambda *args, **kwargs: wrong(right, *args, **kwargs))
    try:
        yield
    finally:
        put(right)


def _starts_late(right: Any, *args: Any) -> Any:
    lo, hi = right(*args)
    return lo + 1, hi


def _ends_early(right: Any, *args: Any) -> Any:
    lo, hi = right(*args)
    return lo, hi - 1


def _shifted(right: Any, *args: Any) -> Any:
    return tuple(v + 1 for v in right(*args))


def _sides_swapped(right: Any, *args: Any) -> Any:
    length, left, other = right(*args)
    return length, other, left


def _stale_window(right: Any, self: Any, table: Any, carrier: Carrier, *rest: Any, **options: Any) -> Any:
    return right(self, table, Carrier(carrier.start + 1, carrier.width), *rest, **options)


def _no_mask(right: Any, self: Any, x: Any, *rest: Any, **options: Any) -> Any:
    return x


def _unshifted(right: Any, self: Any, x: Any, source: Carrier, target: Carrier) -> Any:
    return right(self, x, source, Carrier(source.start, target.width))


def _first_sequence(right: Any, self: Any, table: Any) -> Any:
    return right(self, table) * 0 + table[:1]


def _not_subtracted(right: Any, step: Any, node: Any, value: Any, reference: Any) -> Any:
    return value


def _not_assigned(right: Any, step: Any, node: Any, delta: Any, reference: Any) -> Any:
    return delta


@contextmanager
def _taps_not_reversed() -> Iterator[None]:
    name = "scatter-gemm"
    right = table.KERNELS[name]

    def prepare(node: Any, weights: Any, width: int) -> Any:
        return right.prepare(node, weights[::-1], width)

    table.KERNELS[name] = table.Kernel(prepare, right.apply)
    try:
        yield
    finally:
        table.KERNELS[name] = right


def _backwards(right: Any, *args: Any) -> Any:
    return right(*args)[::-1]


def _never(right: Any, *args: Any) -> Any:
    return right(*args) & False


@contextmanager
def _edges_overlooked() -> Iterator[None]:
    """Both the pass and the verifier see no convolution cut by an edge."""
    with _broken(compose_convolutions, "cut_by_edges", _never), _broken(checks, "cut_by_edges", _never):
        yield


def _subtracted_from_the_second(right: Any, *args: Any) -> Any:
    first, second, both, difference = right(*args)
    return first, second, both, -difference


def _reshaped_only(right: Any, x: Any, dilation: int) -> Any:
    return tf.reshape(x, [-1, *right(x, dilation).shape[1:]])


def _last_term_early(right: Any, terms: Any, width: int) -> Any:
    *others, (first, term) = terms
    return right([*others, (max(first - 1, 0), term)], width)


def _as_given(right: Any, replacement: Any, *rest: Any) -> Any:
    return replacement


def _too_much(right: Any, step: Any, node: Any, x: Any) -> Any:
    return right(step, node, x) * 1.001


def _rolled_states(right: Any, step: Any, node: Any, x: Any, table: Any, states: Any, *parameters: Any) -> Any:
    return right(step, node, x, table, tf.roll(states, 1, axis=1), *parameters)


def _nothing_behind(right: Any, *args: Any) -> Any:
    before, after = right(*args)
    return before, after * 0 - 1e9


def _one_row_off(right: Any, kernel: Any, *rest: Any) -> Any:
    return right(tf.roll(kernel, 1, axis=0), *rest)


def _last_position_forgotten(right: Any, *args: Any) -> Any:
    lo, hi = right(*args)
    return lo, max(hi - 1, lo)


def _not_overlaid(right: Any, self: Any, x: Any, carrier: Any, length: int, base: Any) -> Any:
    return right(self, x, carrier, length, base) if base is None else base


def _first_letter_twice(right: Any, halves: Any, alone: Any, one: Any, other: Any) -> Any:
    return right(halves, alone, one, (other[0], one[1]))


def _half_alternates(right: Any, step: Any, old: Any) -> Any:
    return right(step, old) / 2


FAULTS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "a change starts one late": partial(_broken, PositionMap, "_contract", _starts_late),
    "a change ends one early": partial(_broken, PositionMap, "_contract", _ends_early),
    "scattered positions are shifted": partial(_broken, PositionMap, "_expand", _shifted),
    "same padding has its sides swapped": partial(_broken, convolutions, "same_padding", _sides_swapped),
    "a reference window is stale": partial(_broken, rows.Rows, "window", _stale_window),
    "nothing is masked at the edges": partial(_broken, rows.Rows, "mask", _no_mask),
    "realign forgets its shift": partial(_broken, rows.Rows, "realign", _unshifted),
    "every row reads the first sequence": partial(_broken, rows.Rows, "whole", _first_sequence),
    "the reference is not subtracted": partial(_broken, tile.TILE, "difference", _not_subtracted),
    "the reference is not assigned": partial(_broken, tile.TILE, "slice_assign", _not_assigned),
    "taps are not reversed": _taps_not_reversed,
    "the taps of two kernels meet in the wrong order": partial(_broken, composition, "meeting_taps", _backwards),
    "an edge between two convolutions is overlooked": _edges_overlooked,
    "pairs meet taps at the wrong point": partial(_broken, winograd, "_evaluated", _subtracted_from_the_second),
    "the positions of a band are not a dilation apart": partial(_broken, scatter_gemm, "_side_by_side", _reshaped_only),
    "the last of many terms is added one position early": partial(_broken, overlap_add, "_updated", _last_term_early),
    "a replacement is off its carrier": partial(_broken, blocks, "_on_carrier", _as_given),
    "a recurrence resumes from the wrong state": partial(_broken, tile.TILE, "resume", _rolled_states),
    "an aggregate forgets what is behind the window": partial(_broken, tables, "running_tables", _nothing_behind),
    "a kernel is read one row off": partial(_broken, kernel_rows, "_rows", _one_row_off),
    "the outputs demand one position too few": partial(_broken, demand, "needed_positions", _last_position_forgotten),
    "a whole value is not overlaid": partial(_broken, rows.Rows, "overlay", _not_overlaid),
    "half of each letter is replaced": partial(_broken, tile.Step, "_replaced", _half_alternates),
    "the second substitution of a pair takes the first one's letter": partial(
        _broken, halves.Halves, "together", _first_letter_twice
    ),
    "a mean is a little off": partial(_broken, tile.TILE, "reduce_mean", _too_much),
    "a maximum is a little off": partial(_broken, tile.TILE, "max_pool", _too_much),
}
"""Name -> a context manager that injects the fault."""

MODES_OF: dict[str, tuple[str, ...]] = {"the last of many terms is added one position early": ("jitted",)}
"""Faults in code that only programs of some modes run: the fuzzer draws models in these modes alone."""
