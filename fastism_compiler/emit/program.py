"""The program: one traced `tf.function` that runs the reference pass, then a loop over tiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from fastism_compiler.emit.finite import all_finite
from fastism_compiler.emit.functions import Tensor, traced
from fastism_compiler.emit.precision import Arithmetic, arithmetic_of
from fastism_compiler.emit.reference import Finish, call_keras, whole
from fastism_compiler.emit.rows import Rows, stored
from fastism_compiler.emit.tile import Prepared, Step
from fastism_compiler.frontend.bindings import Bindings
from fastism_compiler.ir import Graph, Node, Section
from fastism_compiler.ir.ops import COMPOSER_OPS
from fastism_compiler.ir.queries import hiding_nan, rule_of
from fastism_compiler.ir.types import effect_dtype


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """The static sizes of one program.

    Attributes:
        sequences: sequences per block (B).
        tiles: tiles per block; fewer may be active (N).
        rows: mutated rows per tile (T).
        letters: channels that replacements are given for.
        delta: return mutant - reference instead of the mutant's outputs (sparse programs always do).
        jit: compile with XLA.
        precision: of the products of deltas and weights: `float32`, `tf32` or `bfloat16`.
    """

    sequences: int
    tiles: int
    rows: int
    letters: tuple[int, ...]
    delta: bool
    jit: bool
    precision: str = "float32"


@dataclass(frozen=True, slots=True)
class Scores:
    """One tile's results, one entry per row.

    Attributes:
        outputs: the mutants' finished outputs, `[T, *out]` each.
        own: the finished outputs of each row's own sequence, `[T, *out]` each; 0 where outputs are deltas already.
        unchanged: `[T]` bool, rows whose replacement equals the sequence.
        trusted: `[T]` bool, rows whose numbers stand; the model itself must score the others.
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
    """The reference pass over one block of sequences: what every tile of it reads.

    Attributes:
        outputs: the finished outputs of the sequences themselves, `[B, *out]` each.
        windows: the outputs that a sparse program returns as windows of deltas, by number.
    """

    bindings: Bindings
    finish: Finish
    prepared: Prepared
    outputs: list[Tensor]
    finite: Tensor
    windows: Mapping[int, Node]

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
        finite = _finite_tables(graph, values, sequences)
        windows = {k: n for k, n in enumerate(graph.tile_outputs) if n.has_window}
        return Reference(bindings, finish, Prepared(graph, values, arithmetic), outputs, finite, windows)

    def row_shape(self, output: int) -> list[int]:
        """The shape of one row of a result: a whole output, or its window of deltas."""
        shape = list(self.outputs[output].shape[1:])
        if output in self.windows:
            node = self.windows[output]
            shape[node.window.axis - 1] = node.carrier.width
        return shape

    def score(self, rows: Rows, replacement: Tensor, letters: Sequence[int]) -> Scores:
        """Run the tile section for `rows`, with their replacements `[T, w, letters]`."""
        step = Step(self.prepared, rows, replacement, list(letters))
        outputs = step.run(lambda node, operands, calls: call_keras(self.bindings, node, operands, calls))
        finished = self.finish(outputs)
        unchanged = _unchanged(step)
        # a selection or reduction may hide what its operands show
        trusted = rows.whole(self.finite) & all_finite([*finished, *(outputs if self.finish is not list else [])])
        outputs = finished
        for lost in step.lost:
            trusted = trusted & (unchanged | ~lost)
        own = [tf.zeros_like(outputs[k]) if k in self.windows else rows.whole(r) for k, r in enumerate(self.outputs)]
        return Scores(outputs, own, unchanged, trusted)


def build(graph: Graph, bindings: Bindings, spec: ProgramSpec, finish: Finish, cpu_only: bool) -> Any:
    """Emit the program of a lowered graph; `cpu_only` as in `Context`.

    Returns:
        A `tf.function(inputs, sequence, change, replacement, active)` with
        `inputs` a list of `[B, ...]`, `sequence` and `change` `[N, T]` int32,
        `replacement` `[N, T, w, letters]` and `active` a scalar int32 number of
        tiles to run. It returns `(outputs, trusted, references)`: a list of
        `[N, T, *out]`, `[N, T]` bool (False: score the row naively), and a
        list of `[B, *out]`.
    """
    arithmetic = arithmetic_of(spec.precision, spec.jit, cpu_only)

    def run(
        inputs: list[Tensor], sequence: Tensor, change: Tensor, replacement: Tensor, active: Tensor
    ) -> tuple[list[Tensor], Tensor, list[Tensor]]:
        reference = Reference.of(graph, bindings, finish, inputs, spec.sequences, arithmetic)
        store = stored(active >= 0, cpu_only)

        def tile(i: Tensor) -> tuple[list[Tensor], Tensor]:
            rows = Rows(sequence[i], change[i], store)
            scores = reference.score(rows, replacement[i], spec.letters)
            return scores.effects() if spec.delta else scores.outputs_or_reference(), scores.trusted

        dtypes = [effect_dtype(r.dtype.name) if spec.delta else r.dtype for r in reference.outputs]
        results = [(dtype, reference.row_shape(k)) for k, dtype in enumerate(dtypes)]
        outputs, trusted = _loop(tile, results, spec, active)
        return outputs, trusted, reference.outputs

    return traced(run, spec.jit)


def _loop(
    tile: Callable[[Tensor], tuple[list[Tensor], Tensor]],
    results: list[tuple[Any, list[int]]],
    spec: ProgramSpec,
    active: Tensor,
) -> tuple[list[Tensor], Tensor]:
    """Run `tile`, whose results have these dtypes and row shapes, for `0 <= i < active`; other tiles' rows are zero."""
    stores = [
        tf.TensorArray(dtype, size=spec.tiles, element_shape=[spec.rows, *shape], clear_after_read=False)
        for dtype, shape in results
    ]
    stores.append(tf.TensorArray(tf.bool, size=spec.tiles, element_shape=[spec.rows], clear_after_read=False))

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
        maximum_iterations=spec.tiles,
        parallel_iterations=1,
    )
    *outputs, trusted = [s.stack() for s in stores]
    return outputs, trusted


def _unchanged(step: Step) -> Tensor:
    """Rows whose replacement equals the sequence: `[T]` bool."""
    if step.change is None:
        return tf.ones(tf.shape(step.rows.sequence), tf.bool)
    return tf.reduce_all(step.change == 0, axis=list(range(1, len(step.change.shape))))


def _finite_tables(graph: Graph, values: Mapping[Node, Tensor], sequences: int | Tensor) -> Tensor:
    """Sequences whose reference holds only finite numbers where tiles read it, and where NaN might be hidden: `[B]`.

    None, where a composed kernel overflows: its infinity would be NaN times a difference of 0, in whatever row.
    """
    finite = tf.ones([sequences], tf.bool)
    for node in hiding_nan(graph, Section.REFERENCE):
        source = node.operands[0]
        finite = finite & (all_finite([values[source]]) if source.type.batched else True)
    for node in graph.nodes(Section.REFERENCE):
        if node.op in COMPOSER_OPS:
            finite = finite & tf.reduce_all(all_finite([values[node]]))
        read = any(u.in_tile for u in node.users)
        if read and node.type.batched and not rule_of(node).leaf:
            finite = finite & all_finite([values[node]])
    return finite


def _difference(mutant: Tensor, reference: Tensor) -> Tensor:
    dtype = effect_dtype(mutant.dtype.name)
    return tf.cast(mutant, dtype) - tf.cast(reference, dtype)


def _where(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return tf.where(tf.reshape(condition, [-1, *[1] * (len(a.shape) - 1)]), a, b)
