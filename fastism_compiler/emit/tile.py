"""What each tile node computes: deltas, windows of values, and the ops between them."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from fastism_compiler.emit.digits import Digits
from fastism_compiler.emit.finite import shows_all
from fastism_compiler.emit.functions import Tensor, layer_scope
from fastism_compiler.emit.kernels.table import KERNELS
from fastism_compiler.emit.ops import OPS, max_pool, sum_pool
from fastism_compiler.emit.precision import Arithmetic
from fastism_compiler.emit.recurrent import kept_states, scan
from fastism_compiler.emit.rows import Rows, where
from fastism_compiler.emit.running import COMBINATIONS, aggregated_axes, at, from_front, masked_state, to_front
from fastism_compiler.emit.tables import Tables, operands_read
from fastism_compiler.ir import Form, Graph, Node, Section, Window
from fastism_compiler.ir.queries import geometry_of, hiding_faults, kernel_of, rule_of

KerasCall = Callable[[Node, list[Tensor], dict[str, list[Tensor]]], Tensor]
"""`(node, operands, results so far) -> tensor`: runs an opaque Keras operation."""


def _kept(node: Node) -> bool:
    """Whether XLA must compute this window once, into memory (see `rows.stored`).

    Otherwise XLA recomputes it for each of several readers, and for each place
    at which some kernels read. A value to be flattened is computed element by
    element, with a division for each (Basset's last pool: 566 us a tile, 79 us if stored first).
    """
    if not node.has_window:
        return False
    readers = [n for n in node.users if _reads(n, node)]  # shape-only users are not readers
    specs = [kernel_of(n) for n in (node, *readers)]
    many_places = any(spec is not None and spec.stores_operands for spec in specs)
    return many_places or len(readers) > 1 or any(_mixes_channels(node, n) for n in readers)


def _reads(user: Node, node: Node) -> bool:
    """Whether `user` reads the numbers of `node`, not only its place and shape."""
    shape_only = rule_of(user).shape_only
    return any(o is node and i not in shape_only for i, o in enumerate(user.operands))


def _mixes_channels(node: Node, reader: Node) -> bool:
    """Whether `reader` reshapes the last axis of `node`, which has more than one element."""
    return rule_of(reader).regroups and node.type.shape[-1] not in (1, reader.type.shape[-1])


class Step:
    """One tile: evaluates the tile section for one set of rows.

    Args:
        graph: the lowered graph.
        tables: what it reads of the reference pass.
        arithmetic: how deltas and weights are multiplied.
        rows: the rows of the tile.
        replacement: `[T, w, letters]`, one for each row.
        letters: channels that replacements are given for.
        watch: look for values far below a large reference, too (see `emit.digits`).
        results_are_read: something is computed from the outputs.
    """

    def __init__(
        self,
        graph: Graph,
        tables: Tables,
        arithmetic: Arithmetic,
        rows: Rows,
        replacement: Tensor,
        letters: list[int],
        *,
        watch: bool,
        results_are_read: bool,
    ) -> None:
        self.graph, self.tables, self.arithmetic = graph, tables, arithmetic
        self.rows, self.replacement, self.letters = rows, replacement, letters
        self.digits = Digits(graph, watch, results_are_read, self._within)
        self.hiding = set(hiding_faults(graph, Section.TILE))
        self.values: dict[Node, Tensor] = {}
        self.calls: dict[str, list[Tensor]] = {}
        self.change: Tensor | None = None
        """Mutant - reference of each row's sequence; None where no output depends on the sequence."""
        self._hidden: list[Tensor] = []

    @property
    def lost(self) -> list[Tensor]:
        """`[T]` bool each: rows whose results are not reliable, although they may be finite."""
        return [*self._hidden, *self.digits.lost]

    def run(self, call: KerasCall) -> list[Tensor]:
        """Evaluate every tile node; `call` runs opaque Keras operations. Returns the outputs."""
        for node in self.graph.nodes(Section.TILE):
            with layer_scope(node.layer):
                value = self._evaluate(node, call)
                self.values[node] = self.rows.store(value) if _kept(node) else value
        return [self.values[n] for n in self.graph.tile_outputs]

    def _evaluate(self, node: Node, call: KerasCall) -> Tensor:
        emit = TILE.get(node.op)
        operands = [self._operand(o) for o in operands_read(node)]
        if node in self.hiding:
            self._hidden.append(~shows_all(operands[0], node.type.dtype))
        self.digits.read(node, operands, self._operand)
        if node in self.tables.arranged:
            return self._contraction(node, operands[0])
        if emit is not None:
            return emit(self, node, *operands)
        if rule_of(node).opaque:
            return self._opaque(node, operands, call)
        return OPS[node.op](node, *operands)

    def _operand(self, node: Node) -> Tensor:
        return self.values[node] if node.in_tile else self.tables.values[node]

    # Windows

    def masked(self, node: Node, x: Tensor, fill: float = 0.0) -> Tensor:
        """`x`, stored as `node` is, with `fill` outside the sequence."""
        state, carrier = node.facts.state, node.facts.carrier
        if not isinstance(state, Window) or carrier is None:
            return x
        front = self.rows.mask(to_front(x, state.axis), carrier, state.length, fill)
        return from_front(front, state.axis)

    def _within(self, node: Node, flags: Tensor) -> Tensor:
        """`[T, width]` flags of the window of a node, false outside the sequence."""
        return self.rows.mask(flags, node.carrier, node.window.length)

    def input_delta(self, node: Node, x: Tensor) -> Tensor:
        state, carrier = node.window, node.carrier
        old = self.rows.window(x, carrier, state.length, node.operands[0].facts.kept)
        delta = self._replaced(old)
        lo, hi = (tf.gather(tf.constant(t, tf.int32), self.rows.change) for t in (state.ranges.lo, state.ranges.hi))
        self.change = where_rows(self.rows.positions(carrier), lo, hi, delta)
        return self.change

    def _replaced(self, old: Tensor) -> Tensor:
        """Replacement minus sequence, in its letter channels only, or in tokens."""
        if len(old.shape) == 2:
            return self.replacement[..., 0] - old
        channels = old.shape[2]
        if self.letters == list(range(channels)):
            return self.replacement - old
        delta = self.replacement - tf.gather(old, self.letters, axis=2)
        return tf.tensordot(delta, tf.one_hot(self.letters, channels, dtype=delta.dtype), 1)

    def zero_delta(self, node: Node, constant: Tensor, like: Tensor) -> Tensor:
        shape = list(node.type.shape)
        if node.has_window:
            shape[node.window.axis] = node.carrier.width
        return tf.zeros([tf.shape(like)[0], *shape[1:]], node.type.dtype)

    def reference_window(self, node: Node, table: Tensor, like: Tensor) -> Tensor:
        source, _ = node.operands
        state = node.facts.state
        if not isinstance(state, Window):
            return self.rows.whole(table) if source.type.batched else table
        if not source.type.batched:
            return self._parameter_window(node, source, table, state)
        window = self.rows.window(to_front(table, state.axis), node.carrier, state.length, source.facts.kept)
        return from_front(window, state.axis)

    def _parameter_window(self, node: Node, source: Node, table: Tensor, state: Window) -> Tensor:
        """A window of a parameter that has positions; its axes align from the right, as in broadcasting."""
        missing = node.operands[1].type.rank - source.type.rank
        table = tf.reshape(table, [*[1] * missing, *table.shape])
        front = to_front(table, state.axis)[0]
        window = self.rows.window_of_parameter(front, node.carrier, state.length)
        return from_front(window, state.axis)

    def slice_assign(self, node: Node, delta: Tensor, reference: Tensor) -> Tensor:
        value = reference + delta
        self.digits.assigned(node, value, reference)
        return value

    def difference(self, node: Node, value: Tensor, reference: Tensor) -> Tensor:
        return self.masked(node, value - reference)

    def materialise(self, node: Node, x: Tensor, table: Tensor | None = None) -> Tensor:
        source = node.operands[0]
        state = source.facts.state
        if not isinstance(state, Window):
            return x
        base = None if table is None else to_front(self.rows.whole(table), state.axis)
        whole = self.rows.overlay(to_front(x, state.axis), source.carrier, state.length, base)
        return from_front(whole, state.axis)

    def realign(self, node: Node, x: Tensor) -> Tensor:
        source = node.operands[0]
        axis = node.facts.axis or 1
        return from_front(self.rows.realign(to_front(x, axis), source.carrier, node.carrier), axis)

    # Ops that windows compute differently from whole values

    def _contraction(self, node: Node, x: Tensor) -> Tensor:
        """A contraction by its kernel, masked: with several taps, rows reach beyond the ends of the sequence."""
        kernel, rows = KERNELS[str(node.facts.kernel)], node.operands[0]
        y = kernel.apply(node, x, self.tables.arranged[node], self.arithmetic, lambda: self.rows.start(rows.carrier))
        return self.masked(node, y) if geometry_of(node).taps > 1 else y

    def _opaque(self, node: Node, operands: list[Tensor], call: KerasCall) -> Tensor:
        """A call on whole values; or a registered layer on a window, zeros outside, its own padding cut off."""
        source = node.operands[0]
        if not node.has_window or "pad" not in node.attrs:
            return call(node, operands, self.calls)
        y = call(node, [self.masked(source, operands[0])], {})
        left, right = node.attrs["pad"]
        y = y[:, left : y.shape[1] - right]
        return self.masked(node, y) if node.facts.form is Form.DELTA else y

    def max_pool(self, node: Node, x: Tensor) -> Tensor:
        if not node.has_window:
            return OPS["max_pool"](node, x)
        x = self.masked(node.operands[0], x, fill=x.dtype.min)
        return max_pool(x, node.attrs["size"], node.attrs["stride"])

    def avg_pool(self, node: Node, x: Tensor) -> Tensor:
        state, attrs = node.facts.state, node.attrs
        if not isinstance(state, Window):
            return OPS["avg_pool"](node, x)
        if attrs["stride"] == 1:
            x = tf.pad(x, [[0, 0], [attrs["size"] - 1, attrs["size"] - 1], [0, 0]])
        total = sum_pool(x, attrs["size"], attrs["stride"])
        if attrs["pad"] == (0, 0):
            return self.masked(node, total / attrs["size"])
        first = self.rows.positions(node.carrier) * attrs["stride"] - attrs["pad"][0]
        length = node.operands[0].type.extent(1)
        count = tf.minimum(first + attrs["size"], length) - tf.maximum(first, 0)
        count = tf.cast(tf.maximum(count, 1), x.dtype)[..., None]
        return self.masked(node, total / count)

    def reduce_mean(self, node: Node, x: Tensor) -> Tensor:
        """Unchanged positions add nothing to the sum, but count in the mean."""
        whole = node.operands[0].type
        count = whole.row_size // node.type.row_size
        return OPS["reduce_sum"](node, x) / tf.cast(count, x.dtype)

    def combine(self, node: Node, x: Tensor) -> Tensor:
        """An aggregate over positions: the reference's before and after the window, and the window's own."""
        source = node.operands[0]
        state, carrier, how = source.window, source.carrier, COMBINATIONS[node.op]
        parts = masked_state(how, how.lift(node, x), lambda part, fill: self.masked(source, part, fill))
        axes = aggregated_axes(node)
        start = tf.broadcast_to(self.rows.start(carrier), tf.shape(self.rows.sequence))
        stop = tf.clip_by_value(start + carrier.width, 0, state.length)
        start = tf.clip_by_value(start, 0, state.length)
        first = 0 if node.facts.kept is None else node.facts.kept.first
        before, after = (
            tuple(at(part, self.rows.sequence, position - first) for part in table)
            for table, position in zip(self.tables.running[node], (start, stop), strict=True)
        )
        outside = tuple(from_front(part[:, None], state.axis) for part in how.pair(before, after))
        result = how.result(how.pair(how.reduce(parts, axes), outside))
        return result if node.attrs["keepdims"] else tf.squeeze(result, axes)

    def resume(self, node: Node, x: Tensor, table: Tensor, states: Tensor, *parameters: Tensor) -> Tensor:
        """A recurrence over rows, from the tile's first change on; states before it are the reference's."""
        source = node.operands[0]
        state, carrier = source.window, source.carrier
        length, reverse, rows = state.length, node.attrs["reverse"], self.rows
        start = tf.broadcast_to(rows.start(carrier), tf.shape(rows.sequence))
        first = tf.reduce_max(start) + carrier.width - 1 if reverse else tf.reduce_min(start)
        first = tf.clip_by_value(first, 0, length - 1)
        before = at(states, rows.sequence, first + 1 if reverse else first)
        count = before.shape[1] // parameters[0].shape[0]

        def projections(position: Tensor) -> Tensor:
            there = position - start
            own = tf.gather(x, tf.clip_by_value(there, 0, carrier.width - 1), batch_dims=1)
            changed = (there >= 0) & (there < carrier.width)
            return tf.where(changed[:, None], own, at(table, rows.sequence, position))

        initial = tuple(tf.split(before, count, axis=1))
        run = scan(node, projections, initial, first, length, list(parameters), kept_states(node))
        positions = tf.range(length, dtype=tf.int32)[None]
        reached = positions <= first if reverse else positions >= first
        reference = (states[:, :length] if reverse else states[:, 1:])[:, :, : run.shape[2]]
        return where(reached, run, rows.whole(reference))

    def slice(self, node: Node, x: Tensor) -> Tensor:
        state = node.facts.state
        if not isinstance(state, Window) or state.axis != node.attrs["axis"]:
            return OPS["slice"](node, x)
        return self.masked(node, x) if node.facts.form is Form.DELTA else x

    def pad(self, node: Node, x: Tensor) -> Tensor:
        state = node.facts.state
        on_positions = isinstance(state, Window) and state.axis == node.attrs["axis"]
        return x if on_positions else OPS["pad"](node, x)

    def reshape(self, node: Node, x: Tensor) -> Tensor:
        shape = list(node.type.shape[1:])
        if node.has_window:
            shape[node.window.axis - 1] = node.carrier.width
        return tf.reshape(x, [-1, *shape])

    def broadcast(self, node: Node, x: Tensor) -> Tensor:
        shape = list(node.type.shape[1:])
        if node.has_window:
            shape[node.window.axis - 1] = node.carrier.width
        return tf.broadcast_to(x, [tf.shape(x)[0], *shape])


def where_rows(positions: Tensor, lo: Tensor, hi: Tensor, x: Tensor) -> Tensor:
    """`x` where `lo <= position < hi`, else 0."""
    changed = (positions >= lo[:, None]) & (positions < hi[:, None])
    return where(changed, x, 0.0)


TILE: dict[str, Callable[..., Tensor]] = {
    "input_delta": Step.input_delta,
    "zero_delta": Step.zero_delta,
    "reference_window": Step.reference_window,
    "slice_assign": Step.slice_assign,
    "difference": Step.difference,
    "materialise": Step.materialise,
    "realign": Step.realign,
    **dict.fromkeys(COMBINATIONS, Step.combine),
    "resume": Step.resume,
    "max_pool": Step.max_pool,
    "avg_pool": Step.avg_pool,
    "reduce_mean": Step.reduce_mean,
    "slice": Step.slice,
    "pad": Step.pad,
    "reshape": Step.reshape,
    "broadcast": Step.broadcast,
}
"""Ops whose rows are computed differently from whole values; all others use `OPS`."""
