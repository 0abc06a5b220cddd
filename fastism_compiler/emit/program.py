"""The program: a reference pass over a block of sequences, and a loop over tiles that read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from fastism_compiler.emit.finite import all_finite
from fastism_compiler.emit.functions import Tensor
from fastism_compiler.emit.precision import Arithmetic
from fastism_compiler.emit.reference import LEAVES, Finish, call_keras, whole
from fastism_compiler.emit.rows import Rows, stored
from fastism_compiler.emit.running import from_front, to_front
from fastism_compiler.emit.tables import Layout, Tables
from fastism_compiler.emit.tile import Step
from fastism_compiler.frontend.bindings import Bindings
from fastism_compiler.ir import Form, Graph, Node
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.types import effect_dtype


@dataclass(frozen=True, slots=True)
class Scores:
    """One tile's results, one entry per row.

    Attributes:
        outputs: the mutants' finished outputs, `[T, *out]` each.
        own: the finished outputs of each row's own sequence, `[T, *out]` each; 0 where outputs are deltas already.
        unchanged: `[T]` bool, rows whose replacement equals the sequence.
        trusted: `[T]` bool, rows whose results are reliable; the model itself must score the others.
    """

    outputs: list[Tensor]
    own: list[Tensor]
    unchanged: Tensor
    trusted: Tensor

    def outputs_or_reference(self) -> list[Tensor]:
        """The outputs; the reference's, bit for bit, where nothing changes."""
        return [_where(self.unchanged, r, y) for y, r in zip(self.outputs, self.own, strict=True)]

    def effects(self) -> list[Tensor]:
        """Mutant - reference; exactly 0 where nothing changes."""
        effects = [_difference(y, r) for y, r in zip(self.outputs, self.own, strict=True)]
        return [_where(self.unchanged, tf.zeros_like(e), e) for e in effects]


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference pass over one block of sequences, and the tiles that read it.

    Attributes:
        graph: the lowered graph.
        bindings: what its parameters and opaque calls stand for.
        finish: selection and reduction of the outputs.
        arithmetic: how deltas and weights are multiplied.
        tables: what tiles read.
    """

    graph: Graph
    bindings: Bindings
    finish: Finish
    arithmetic: Arithmetic
    tables: Tables

    @staticmethod
    def of(
        graph: Graph,
        bindings: Bindings,
        finish: Finish,
        inputs: Sequence[Tensor],
        sequences: int | Tensor,
        arithmetic: Arithmetic,
    ) -> Reference:
        """Run the reference section over `inputs` (`[B, ...]` each; `sequences` is B)."""
        values, outputs = whole(graph, bindings, finish, inputs, sequences)
        return Reference(
            graph, bindings, finish, arithmetic, Tables.of(graph, values, outputs, sequences, finish is not list)
        )

    @property
    def outputs(self) -> list[Tensor]:
        """The finished outputs of the sequences themselves, `[B, *out]` each."""
        return self.tables.outputs

    @property
    def windows(self) -> Mapping[int, Node]:
        """The outputs that are returned as windows, by number: of deltas in a sparse program, else of values."""
        return {k: n for k, n in enumerate(self.graph.tile_outputs) if n.has_window}

    def row_shape(self, output: int) -> list[int]:
        """The shape of one row of a result: a whole output, or its window."""
        shape = list(self.outputs[output].shape[1:])
        node = self.windows.get(output)
        if node is not None:
            shape[node.window.axis - 1] = node.carrier.width
        return shape

    def score(self, rows: Rows, replacement: Tensor, letters: Sequence[int], *, watch: bool = True) -> Scores:
        """Run the tile section for `rows`, with their replacements `[T, w, letters]`.

        Args:
            rows: which.
            replacement: what they change.
            letters: channels that replacements are given for.
            watch: look for digits lost behind large references (see `emit.digits`).
        """
        step = Step(
            self.graph,
            self.tables,
            self.arithmetic,
            rows,
            replacement,
            list(letters),
            watch=watch,
            results_are_read=self.finish is not list,
        )
        outputs = step.run(lambda node, operands, calls: call_keras(self.bindings, node, operands, calls))
        finished = self.finish(outputs)
        unchanged = _unchanged(step)
        # a selection or reduction may hide NaN of its operands
        trusted = rows.whole(self.tables.finite) & all_finite(
            [*finished, *(outputs if self.finish is not list else [])]
        )
        outputs = finished
        for lost in step.lost:
            trusted = trusted & (unchanged | ~lost)
        own = [self._own(k, rows, y) for k, y in enumerate(outputs)]
        return Scores(outputs, own, unchanged, trusted)

    def _own(self, output: int, rows: Rows, y: Tensor) -> Tensor:
        """An output of the unmutated sequence of each row: all of it, or a window."""
        node, reference = self.windows.get(output), self.outputs[output]
        if node is None:
            return rows.whole(reference)
        if node.facts.form is Form.DELTA:
            return tf.zeros_like(y)
        axis = node.window.axis
        return from_front(rows.window(to_front(reference, axis), node.carrier, node.window.length), axis)


class BlockProgram:
    """The program for blocks of sequences, in two parts that are traced and compiled separately.

    A scan runs the reference pass once, and the loop until all its tiles are
    done: the number of tiles is data, so all calls share both parts.

    Args:
        graph: the lowered graph.
        bindings: what its parameters and opaque calls stand for.
        finish: selection and reduction of the outputs.
        letters: channels that replacements are given for.
        arithmetic: how deltas and weights are multiplied.
        cpu_only: as in `Context`.
    """

    def __init__(
        self,
        graph: Graph,
        bindings: Bindings,
        finish: Finish,
        letters: Sequence[int],
        arithmetic: Arithmetic,
        cpu_only: bool,
    ) -> None:
        self.graph, self.bindings, self.finish = graph, bindings, finish
        self.letters, self.arithmetic, self.cpu_only = letters, arithmetic, cpu_only
        self._layout: Layout | None = None

    def reference_pass(self, inputs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """The tables of `inputs` (`[B, ...]` each), flat, and the outputs `[B, *out]` of these sequences."""
        sequences = inputs[0].shape[0]
        reference = Reference.of(self.graph, self.bindings, self.finish, inputs, sequences, self.arithmetic)
        tables, self._layout = reference.tables.packed()
        return tables, reference.outputs

    def tile_loop(
        self,
        tables: list[Tensor],
        sequence: Tensor,
        change: Tensor,
        replacement: Tensor,
        active: Tensor,
        delta: Tensor,
        *,
        watch: bool = True,
    ) -> tuple[list[Tensor], Tensor]:
        """Score `N` tiles of `T` rows. Trace it after `reference_pass`, which records the layout of the tables.

        Args:
            tables: of a reference pass.
            sequence: `[N, T]` int32, which sequence of the block each row mutates.
            change: `[N, T]` int32, which change range.
            replacement: `[N, T, w, letters]`.
            active: scalar int32, tiles to run.
            delta: scalar bool, return mutant - reference, of outputs whose dtype holds every difference. (The windows
                of a sparse program are differences in any case.)
            watch: look for digits lost behind large references: not needed unless `must_watch(tables)`.

        Returns:
            `(outputs, trusted)`: a list of `[N, T, *out]`, and `[N, T]` bool (False: score the row naively); zeros in
            tiles that are not run.

        Raises:
            IRError: no reference pass was traced.
        """
        if self._layout is None:
            raise IRError("a loop over tiles reads the tables of a reference pass", got="none was traced")
        read = self._layout.unpacked(tables, lambda node: LEAVES[node.op](node, self.bindings))
        reference = Reference(self.graph, self.bindings, self.finish, self.arithmetic, read)
        store = stored(active >= 0, self.cpu_only)

        def tile(i: Tensor) -> tuple[list[Tensor], Tensor]:
            of_tile, ranges, replaced = (tf.gather(x, i) for x in (sequence, change, replacement))
            scores = reference.score(Rows(of_tile, ranges, store), replaced, self.letters, watch=watch)
            pairs = zip(scores.outputs_or_reference(), scores.effects(), strict=True)
            return [tf.where(delta, e, y) if e.dtype == y.dtype else y for y, e in pairs], scores.trusted

        results = [(y.dtype, reference.row_shape(k)) for k, y in enumerate(reference.outputs)]
        return _loop(tile, results, sequence.shape, active)

    def loop(self, watch: bool) -> Callable[..., tuple[list[Tensor], Tensor]]:
        """`tile_loop` with or without the watch, as a function of tensors alone."""

        def tile_loop(*tensors: Any) -> tuple[list[Tensor], Tensor]:
            return self.tile_loop(*tensors, watch=watch)

        return tile_loop

    def scan(
        self, inputs: list[Tensor], sequence: Tensor, change: Tensor, replacement: Tensor, active: Tensor
    ) -> tuple[list[Tensor], Tensor, list[Tensor]]:
        """Both parts in one: `(outputs, trusted, references)` of a block."""
        tables, references = self.reference_pass(inputs)
        outputs, trusted = self.tile_loop(tables, sequence, change, replacement, active, tf.constant(False))
        return outputs, trusted, references


def _loop(
    tile: Callable[[Tensor], tuple[list[Tensor], Tensor]],
    results: list[tuple[Any, list[int]]],
    shape: Sequence[int],
    active: Tensor,
) -> tuple[list[Tensor], Tensor]:
    """Run `tile`, whose results have these dtypes and row shapes, for `0 <= i < active` of `shape = [N, T]` rows."""
    tiles, rows = shape
    stores = [
        tf.TensorArray(dtype, size=tiles, element_shape=[rows, *row], clear_after_read=False) for dtype, row in results
    ]
    stores.append(tf.TensorArray(tf.bool, size=tiles, element_shape=[rows], clear_after_read=False))

    def body(i: Tensor, stores: list[Any]) -> tuple[Tensor, list[Any]]:
        outputs, trusted = tile(i)
        written = [
            s.write(i, tf.ensure_shape(y, s.element_shape)) for s, y in zip(stores, [*outputs, trusted], strict=True)
        ]
        return i + 1, written

    _, stores = tf.while_loop(
        lambda i, _: i < active,
        body,
        (tf.constant(0, tf.int32), stores),
        maximum_iterations=tiles,
        parallel_iterations=1,
    )
    *outputs, trusted = [s.stack() for s in stores]
    return outputs, trusted


def _unchanged(step: Step) -> Tensor:
    """Rows whose replacement equals the sequence: `[T]` bool."""
    if step.change is None:
        return tf.ones(tf.shape(step.rows.sequence), tf.bool)
    return tf.reduce_all(step.change == 0, axis=list(range(1, len(step.change.shape))))


def _difference(mutant: Tensor, reference: Tensor) -> Tensor:
    dtype = effect_dtype(mutant.dtype.name)
    return tf.cast(mutant, dtype) - tf.cast(reference, dtype)


def _where(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return tf.where(tf.reshape(condition, [-1, *[1] * (len(a.shape) - 1)]), a, b)
