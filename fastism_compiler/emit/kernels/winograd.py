"""The `winograd` kernel: pairs of positions times groups of taps, at a few points (see `ir.kernels.winograd`).

At 0 a polynomial is its first coefficient, at infinity its last: an output
that only one position reaches is exact, and so are the zeros beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import tensorflow as tf

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.emit.kernels.overlap_add import overlap_add
from fastism_compiler.emit.positions import between, pad_positions
from fastism_compiler.emit.precision import Arithmetic, Product
from fastism_compiler.ir import Node
from fastism_compiler.ir.kernels.winograd import Pairing
from fastism_compiler.ir.position_map import ceil_div
from fastism_compiler.ir.queries import geometry_of

Points = tuple[Tensor, ...]
"""Values at 0, infinity, 1 and -1; the last two only where some group has so many taps."""

_EVALUATIONS: tuple[tuple[int, Callable[..., Tensor]], ...] = (
    (1, lambda *g: g[0]),
    (1, lambda *g: g[-1]),
    (2, lambda *g: g[0] + g[1] if len(g) == 2 else (g[0] + g[1] + g[2]) / 2),
    (3, lambda *g: (g[0] - g[1] + g[2]) / 2),
)
"""Per point: fewest taps of a group that needs it, and the value there (of 3 taps halved at 1 and -1: saves a step)."""


def prepare(node: Node, weights: Tensor, width: int) -> Points:
    """The groups of taps at every point."""
    return arrange(tf.reverse(weights, [0]))


def apply(node: Node, x: Tensor, weights: Points, arithmetic: Arithmetic, starts: Callable[[], Tensor]) -> Tensor:
    """`[rows, w, Cin]` to `[rows, w + (k-1)*dilation, Cout]`."""
    g = geometry_of(node)
    return spread_pairs(x, weights, g.filters, g.dilation, arithmetic.product, arithmetic.cpu_only)


def arrange(weights: Tensor) -> Points:
    """`[k, Cin, Cout]`, in the order in which taps are spread, as `[Cin, groups * Cout]` per point."""
    sizes = Pairing(1, weights.shape[0], 1).groups
    groups = [tf.unstack(group) for group in tf.split(weights, sizes)]
    found = ([value(*g) for g in groups if len(g) >= taps] for taps, value in _EVALUATIONS)
    return tuple(tf.concat(values, axis=1) for values in found if values)


def spread_pairs(
    x: Tensor, points: Points, filters: int, dilation: int, product: Product, in_place: bool = False
) -> Tensor:
    """Every position adds `x[a] @ weights[t]` at `a + t*dilation`.

    Args:
        x: `[rows, w, Cin]`.
        points: what `arrange` made of the weights.
        filters: `Cout`.
        dilation: distance between taps.
        product: what multiplies.
        in_place: how terms are added (see `overlap_add`).

    Returns:
        `[rows, w + (k-1)*dilation, Cout]`.
    """
    # a group of t taps has a value at infinity and t others
    taps = sum(p.shape[1] for p in (points[0], *points[2:])) // filters
    pairing = Pairing(x.shape[1], taps, dilation)
    width = x.shape[1] + (taps - 1) * dilation
    products = [_multiplied(d, g, filters, product) for d, g in zip(_evaluated(x, pairing), points, strict=False)]
    half = ceil_div(width, 2 * dilation) * dilation
    steps: defaultdict[int, list[Tensor]] = defaultdict(list)
    begin = 0
    by_group = [tf.unstack(p, axis=2) for p in products]
    for number, size in enumerate(pairing.groups):
        for step, c in enumerate(_coefficients([p[number] for p in by_group[: size + 1]]), start=begin):
            steps[step].append(c)
        begin += size
    phases: tuple[list[tuple[int, Tensor]], list[tuple[int, Tensor]]] = ([], [])
    for step, coefficients in steps.items():
        phases[step % 2].append((step // 2 * dilation, _added(coefficients)))
    sums = [overlap_add(phase, half, in_place) for phase in phases]
    blocks = [tf.reshape(y, [-1, half // dilation, dilation, filters]) for y in sums]
    return between(tf.reshape(tf.stack(blocks, axis=2), [-1, 2 * half, filters]), 0, width)


def _added(coefficients: list[Tensor]) -> Tensor:
    """The sum of coefficients for the same outputs: the last of a group, and the first of the next."""
    return overlap_add([(0, c) for c in coefficients], max(c.shape[1] for c in coefficients), in_place=False)


def _evaluated(x: Tensor, pairing: Pairing) -> Points:
    """The pairs of a window at every point: `[rows, first, Cin]`, at infinity `[rows, second, Cin]`."""
    dilation, channels = pairing.dilation, x.shape[2]
    blocks = ceil_div(x.shape[1], 2 * dilation)
    even = pad_positions(x, 0, 2 * blocks * dilation - x.shape[1])
    even = tf.reshape(even, [-1, blocks, 2, dilation, channels])
    halves = (tf.reshape(half, [-1, blocks * dilation, channels]) for half in tf.unstack(even, axis=2))
    first, second = (between(half, 0, pairing.first) for half in halves)
    return first, between(second, 0, pairing.second), first + second, first - second


def _multiplied(pairs: Tensor, weights: Tensor, filters: int, product: Product) -> Tensor:
    """From `[rows, n, Cin]` to `[rows, n, groups, Cout]`."""
    rows = product(tf.reshape(pairs, [-1, pairs.shape[2]]), weights)
    # not -1: there may be no second positions at all
    return tf.reshape(
        rows, [pairs.shape[0] or tf.shape(pairs)[0], pairs.shape[1], weights.shape[1] // filters, filters]
    )


def _coefficients(values: list[Tensor]) -> list[Tensor]:
    """The coefficients of the polynomial with these values at 0, infinity, 1 and -1."""
    zero, last, *rest = values
    full = pad_positions(last, 0, zero.shape[1] - last.shape[1])
    if len(rest) == 2:
        one, minus_one = rest
        return [zero, one - minus_one - full, one + minus_one - zero, last]
    return [zero, *[one - zero - full for one in rest], last]
