"""The plan: what will run, per layer, before anything runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastism_compiler.frontend.selection import Packer
from fastism_compiler.ir import LayerClass, Node, Section, Window
from fastism_compiler.ir.arithmetic import naive_total, whole_multiply_adds
from fastism_compiler.ir.facts import Facts
from fastism_compiler.passes.cost.rows import delta_ops, op_work, row_work
from fastism_compiler.planning.memory import predict_bytes
from fastism_compiler.results.html import table
from fastism_compiler.runtime.engine import Engine

_HEAD = ("layer", "op", "class", "window", "kernel", "naive", "ours")


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """One op of the model that does more than element-wise work, or that stops acceleration.

    Attributes:
        layer: layer name (`outer/inner` in nested models).
        op: what the op does.
        layer_class: its class.
        window: widest change on its output, in positions; None where everything changes.
        length: positions of its output; None where it has none.
        kernel: its kernel on deltas; None where it runs by value or whole.
        runs_in: the layer whose convolution computes it too (see `compose-convolutions`); None where it runs by itself.
        naive: multiply-adds of one forward pass.
        ours: multiply-adds per mutation, averaged over the ranges, as the kernel does them.
        reason: why acceleration stops here, if it does.
    """

    layer: str
    op: str
    layer_class: str
    window: int | None
    length: int | None
    kernel: str | None
    naive: int
    ours: float
    reason: str | None
    runs_in: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a program will do.

    Attributes:
        model: model name.
        ranges: how many change ranges.
        layers: per op, in order.
        stops: layers from which on everything is recomputed, with the reason.
        naive_multiply_adds: per mutation, by naive ISM.
        multiply_adds: per mutation, by this program: of what changes alone; fewer where `winograd` runs.
        batch_size: sequences per block.
        rows: mutated rows per tile.
        bytes: predicted peak memory of a block, weights not counted.
        notes: everything else a user should know.
        speed_up: predicted, over naive ISM, in time; 1 where the program is naive.
        naive: the model itself is predicted to be faster, so it scores every mutant whole.
        resumes: recurrent layers, which go on from the reference's state before the first change, with the reason.
        composed: convolutions in a row that run as one, with the number of ranges for which they do.
    """

    model: str
    ranges: int
    layers: tuple[PlannedLayer, ...]
    stops: tuple[tuple[str, str], ...]
    naive_multiply_adds: int
    multiply_adds: float
    batch_size: int
    rows: int
    bytes: int
    notes: tuple[str, ...]
    speed_up: float
    naive: bool
    resumes: tuple[tuple[str, str], ...] = ()
    composed: tuple[tuple[str, str], ...] = ()

    @property
    def less_arithmetic(self) -> float:
        """Multiply-adds of naive ISM over those of this program."""
        return self.naive_multiply_adds / max(self.multiply_adds, 1.0)

    def __str__(self) -> str:
        rows = [_HEAD, *[_cells(layer) for layer in self.layers]]
        widths = [max(len(r[i]) for r in rows) for i in range(len(_HEAD))]
        lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]
        lines.insert(1, "  ".join("-" * w for w in widths))
        lines += ["", *self._summary()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """How a notebook shows it."""
        return table(_HEAD, map(_cells, self.layers), self._summary())

    def _summary(self) -> list[str]:
        lines = [
            f"{self.model}: {self.ranges} ranges, {_short(self.naive_multiply_adds)} multiply-adds per mutation "
            f"naively, {_short(self.multiply_adds)} here: {self.less_arithmetic:.1f}x less arithmetic, "
            f"about {self.speed_up:.1f}x faster predicted",
            f"blocks of {self.batch_size} sequences, tiles of {self.rows} rows, about "
            f"{self.bytes / (1 << 20):.0f} MiB besides the weights",
        ]
        if self.naive:
            lines.append("nothing to gain: the model itself is predicted to be faster, and scores every mutant whole")
        lines += [f"{layers} run as one convolution of differences: {where}" for layers, where in self.composed]
        lines += [f"recomputed from {layer} on: {reason}" for layer, reason in self.stops]
        lines += [f"resumed at {layer}: {reason}" for layer, reason in self.resumes]
        return lines + [f"note: {n}" for n in self.notes]


def make_plan(
    engines: Sequence[Engine], selection: Packer, batch_size: int, naive_rows: int, notes: Sequence[str]
) -> Plan:
    """Read the plan off the annotated graphs of a program.

    Args:
        engines: one per bucket of ranges.
        selection: which outputs are returned.
        batch_size: sequences per block.
        naive_rows: whole mutants per call of the model itself.
        notes: what else users should know.
    """
    graph, ranges = engines[0].graph, sum(e.ranges.count for e in engines)
    return Plan(
        model=graph.name,
        ranges=ranges,
        layers=_layers(engines),
        stops=_reasons(engines, lambda facts: facts.stops),
        resumes=_reasons(engines, lambda facts: facts.resumes),
        composed=_composed(engines, ranges),
        naive_multiply_adds=naive_total(graph),
        multiply_adds=sum(row_work(e.graph, e.ranges.count) * e.ranges.count for e in engines) / ranges,
        batch_size=batch_size,
        rows=engines[0].tiling.rows(batch_size),
        bytes=max(predict_bytes(e, selection, batch_size, naive_rows) for e in engines),
        notes=tuple(notes),
        **_prediction(engines),
    )


def _layers(engines: Sequence[Engine]) -> tuple[PlannedLayer, ...]:
    """The layers as all ranges need them, however many programs these are shared out to."""
    share = {e: e.ranges.count / sum(other.ranges.count for other in engines) for e in engines}
    found: dict[str, PlannedLayer] = {}
    for engine in sorted(engines, key=lambda e: e.ranges.max_width, reverse=True):  # kernels are those of the widest
        on_deltas = delta_ops(engine.graph)
        for node in engine.graph.nodes(Section.REFERENCE):
            layer = _planned(node, on_deltas.get(node), engine.ranges.count)
            if layer is not None:
                layer = replace(layer, ours=share[engine] * layer.ours)
                known = found.get(node.name)
                found[node.name] = layer if known is None else _joined(known, layer)
    return tuple(found.values())


def _composed(engines: Sequence[Engine], ranges: int) -> tuple[tuple[str, str], ...]:
    """Which layers run as one, and for how many of all ranges."""
    found: Counter[str] = Counter()
    for engine in engines:
        layers = {n.name: str(n.layer or n.name) for n in engine.graph.nodes(Section.REFERENCE)}
        for node in engine.graph.nodes(Section.TILE):
            if len(node.facts.ops) > 1:
                found[", ".join(layers[name] for name in node.facts.ops)] += engine.ranges.count
    return tuple((layers, f"{count} of {ranges} ranges") for layers, count in found.items())


def _joined(one: PlannedLayer, other: PlannedLayer) -> PlannedLayer:
    """The widest window of both, and the work of both."""
    window = None if one.window is None or other.window is None else max(one.window, other.window)
    return replace(one, window=window, ours=one.ours + other.ours, reason=one.reason or other.reason)


def _prediction(engines: Sequence[Engine]) -> dict[str, Any]:
    """Speed-up over all ranges: times add up, and naive ranges take what naive ISM takes."""
    speeds = [
        (e.ranges.count, 1.0 if e.naive or e.graph.prediction is None else e.graph.prediction.speed_up) for e in engines
    ]
    total, taken = sum(count for count, _ in speeds), sum(count / s for count, s in speeds)
    return {"speed_up": total / taken if taken else float("inf"), "naive": all(e.naive for e in engines)}


def _planned(node: Node, on_deltas: Node | None, count: int) -> PlannedLayer | None:
    facts = node.facts
    if facts.layer_class in (LayerClass.CONSTANT, LayerClass.INPUT, None):
        return None
    naive = whole_multiply_adds(node)
    interesting = naive or facts.layer_class in (
        LayerClass.POOLING, LayerClass.AGGREGATION, LayerClass.RECURRENT, LayerClass.STOP,
    )  # fmt: skip
    if not interesting:
        return None
    window = facts.state.ranges.max_width if isinstance(facts.state, Window) else None
    return PlannedLayer(
        layer=node.layer or node.name,
        op=str(node.attrs.get("what", node.op)),
        layer_class=str(facts.layer_class),
        window=window,
        length=facts.state.length if isinstance(facts.state, Window) else None,
        kernel=on_deltas.facts.kernel if on_deltas else None,
        naive=naive,
        ours=op_work(node, on_deltas, count),
        reason=facts.reason,
        runs_in=on_deltas.layer if on_deltas and on_deltas.facts.ops[-1] != node.name else None,
    )


def _reasons(engines: Sequence[Engine], reason: Callable[[Facts], str | None]) -> tuple[tuple[str, str], ...]:
    """Layers and reasons, of the first node on each path with such a reason: its operands still have windows."""
    found: dict[str, str] = {}
    for graph in (e.graph for e in engines):
        for node in graph.nodes(Section.REFERENCE):
            why = reason(node.facts)
            if why is not None and any(o.has_window for o in node.operands):
                found.setdefault(node.layer or node.name, why)
    return tuple(found.items())


def _cells(layer: PlannedLayer) -> Sequence[str]:
    window = "all" if layer.window is None else f"{layer.window} of {layer.length}"
    return (
        layer.layer,
        layer.op,
        layer.layer_class,
        window,
        f"in {layer.runs_in}" if layer.runs_in else layer.kernel or "by value",
        _short(layer.naive) if layer.naive else "-",
        _short(layer.ours) if layer.naive else "-",
    )


def _short(number: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.3g}"
