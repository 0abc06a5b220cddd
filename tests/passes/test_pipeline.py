from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from fastism_compiler.ir import Facts, Graph, Node, Section, StageSpec
from fastism_compiler.passes import Kind, Pipeline
from fastism_compiler.passes.demand import DemandPass
from fastism_compiler.passes.propagate_ranges import PropagateRangesPass

import fastism_compiler as fc
from tests.passes.graphs import context, conv_relu_pool_dense


@dataclass(frozen=True)
class ForgetfulPass(fc.Pass):
    """Drops the facts of every node."""

    name: ClassVar[str] = "forgetful"
    kind: ClassVar[Kind] = Kind.TRANSFORM
    only: str = "conv"

    def run(self, graph: Graph, context: fc.Context) -> None:
        for node in graph:
            if node.op == self.only:
                node.facts = Facts()


def test_default_order() -> None:
    assert fc.default_pipeline().names() == [
        "canonicalize", "classify-layers", "crop-early", "demand", "propagate-ranges", "segment",
        "insert-slice-assign", "compose-convolutions", "select-kernels", "place-windows", "trim-tables", "plan-tiles",
        "choose-program",
    ]  # fmt: skip


def test_editing() -> None:
    new, names = ForgetfulPass(), fc.default_pipeline().names()
    assert fc.default_pipeline().insert_before("demand", new).names()[3] == "forgetful"
    assert fc.default_pipeline().insert_after("demand", new).names()[4] == "forgetful"
    assert fc.default_pipeline().replace("demand", new).names()[3] == "forgetful"
    assert fc.default_pipeline().remove("demand").names() == [n for n in names if n != "demand"]
    assert [p.name for p in fc.default_pipeline()] == names
    with pytest.raises(fc.OptionError, match="no pass of that name"):
        fc.default_pipeline().remove("dmeand")


def test_options_are_printed() -> None:
    assert str(ForgetfulPass(only="relu")) == "forgetful{only=relu}"
    assert str(fc.default_pipeline().passes[0]) == "canonicalize"


def test_a_pass_that_breaks_a_promise_is_named() -> None:
    pipeline = fc.default_pipeline().insert_after("demand", ForgetfulPass())
    graph = conv_relu_pool_dense()
    with pytest.raises(
        fc.PassError, match=r"pass forgetful failed after canonicalize, classify-layers, crop-early, demand:"
    ) as info:
        pipeline.run(graph, context(graph))
    assert "a node has no class" in str(info.value)
    assert "conv_1" in str(info.value)


def test_missing_requirements_are_named() -> None:
    graph = conv_relu_pool_dense()
    with pytest.raises(fc.PassError, match="pass demand needs others before it"):
        fc.default_pipeline().remove("classify-layers").remove("crop-early").run(graph, context(graph))


@dataclass(frozen=True)
class CarelessPass(fc.Pass):
    """Runs any function on the graph."""

    name: ClassVar[str] = "careless"
    damage: Callable[[Graph], object] = field(default=lambda graph: None, repr=False)

    def run(self, graph: Graph, context: fc.Context) -> None:
        self.damage(graph)


class CarelessAnalysis(CarelessPass):
    kind: ClassVar[Kind] = Kind.ANALYSIS


def test_whatever_a_pass_raises_names_the_pass() -> None:
    graph = conv_relu_pool_dense()
    pipeline = fc.default_pipeline().insert_after("classify-layers", CarelessPass(lambda graph: [].pop()))
    message = r"pass careless failed after canonicalize, classify-layers:\nIndexError: pop from empty list"
    with pytest.raises(fc.PassError, match=message) as info:
        pipeline.run(graph, context(graph))
    assert isinstance(info.value.__cause__, IndexError)


def test_whatever_a_check_raises_names_the_pass() -> None:
    """A conv that has lost its operands makes its own rule stumble."""
    graph = conv_relu_pool_dense()

    def lose_operands(graph: Graph) -> None:
        next(n for n in graph if n.op == "conv")._operands = ()

    with pytest.raises(fc.PassError, match="pass careless failed after no pass:\nValueError: not enough values"):
        Pipeline((CarelessPass(lose_operands),)).run(graph, context(graph))


def _relu(graph: Graph) -> Node:
    return next(n for n in graph if n.op == "relu")


DAMAGE: dict[str, Callable[[Graph], object]] = {
    "added a node": lambda graph: graph.add("relu", [graph.outputs[0]]),
    "removed %unused": lambda graph: graph.prune(),
    "changed the operands of a node": lambda graph: graph.replace(_relu(graph), _relu(graph).operands[0]),
    "changed the attrs of a node": lambda graph: setattr(_relu(graph), "attrs", {"negative_slope": 0.5}),
    "changed the op of a node": lambda graph: setattr(_relu(graph), "op", "elu"),
    "changed the type of a node": lambda graph: setattr(_relu(graph), "type", graph.inputs[0].type),
    "changed the layer of a node": lambda graph: setattr(_relu(graph), "layer", "another"),
    "changed the section of a node": lambda graph: setattr(_relu(graph), "section", Section.TILE),
    "changed the outputs of the graph": lambda graph: graph.outputs.append(_relu(graph)),
    "changed the inputs of the graph": lambda graph: graph.inputs.append(_relu(graph)),
    "changed the tile outputs of the graph": lambda graph: graph.tile_outputs.append(_relu(graph)),
    "changed the sequence of the graph": lambda graph: setattr(graph, "sequence", None),
}


@pytest.mark.parametrize("what", sorted(DAMAGE))
def test_an_analysis_changes_facts_only(what: str) -> None:
    graph = conv_relu_pool_dense()
    graph.add("relu", graph.outputs, name="unused")
    pipeline = Pipeline((CarelessAnalysis(DAMAGE[what]),))
    with pytest.raises(fc.PassError, match=rf"(?s)pass careless failed.*changes nothing else.*it {what}"):
        pipeline.run(graph, context(graph))


def test_an_analysis_may_write_facts() -> None:
    graph = conv_relu_pool_dense()
    analysis = CarelessAnalysis(lambda graph: setattr(_relu(graph).facts, "segment", 3))
    assert _relu(Pipeline((analysis,)).run(graph, context(graph))).facts.segment == 3


@dataclass(frozen=True)
class DropReluPass(fc.Pass):
    """Takes the first relu out, and says that windows are out of date then."""

    name: ClassVar[str] = "drop-relu"
    requires: ClassVar[tuple[str, ...]] = ("propagate-ranges",)
    invalidates: ClassVar[tuple[str, ...]] = ("demand",)

    def run(self, graph: Graph, context: fc.Context) -> None:
        relu = _relu(graph)
        graph.replace(relu, relu.operands[0])
        graph.remove(relu)


def test_what_a_pass_invalidates_must_run_again() -> None:
    graph = conv_relu_pool_dense()
    dropped = fc.default_pipeline().insert_after("propagate-ranges", DropReluPass())
    with pytest.raises(fc.PassError, match="pass segment needs propagate-ranges, whose facts drop-relu made") as info:
        dropped.run(graph, context(graph))
    assert "expected: propagate-ranges once more, after drop-relu" in str(info.value)
    assert "got:      up to date: canonicalize, classify-layers, crop-early, drop-relu" in str(info.value)

    graph = conv_relu_pool_dense()
    ranges_only = dropped.insert_after("drop-relu", PropagateRangesPass())
    with pytest.raises(fc.PassError, match="pass propagate-ranges needs demand, whose facts drop-relu made"):
        ranges_only.run(graph, context(graph))

    graph = conv_relu_pool_dense()
    both = ranges_only.insert_after("drop-relu", DemandPass())
    assert both.run(graph, context(graph)).prediction is not None


def test_a_promise_that_is_out_of_date_is_not_checked() -> None:
    """Without `invalidates`, a node that has no facts breaks the promise of every analysis."""

    def add_a_node(graph: Graph) -> None:
        graph.outputs = [graph.add("relu", graph.outputs)]

    graph, steps = conv_relu_pool_dense(), fc.default_pipeline().passes[:3]
    with pytest.raises(fc.PassError, match="a node has no class"):
        Pipeline((*steps, CarelessPass(add_a_node))).run(graph, context(graph))

    class CarefulPass(CarelessPass):
        invalidates: ClassVar[tuple[str, ...]] = ("classify-layers",)

    graph = conv_relu_pool_dense()
    assert Pipeline((*steps, CarefulPass(add_a_node))).run(graph, context(graph)).outputs[0].op == "relu"


def test_a_pass_of_your_own_can_make_a_promise() -> None:
    class NoReluPass(DropReluPass):
        name: ClassVar[str] = "no-relu"
        requires: ClassVar[tuple[str, ...]] = ()
        ensures: ClassVar[StageSpec] = StageSpec(
            reference=(lambda node: "a relu is left" if node.op == "relu" else None,)
        )

    graph = conv_relu_pool_dense()  # it has two
    with pytest.raises(fc.PassError, match=r"(?s)pass no-relu failed after no pass:\nafter no-relu: a relu is left"):
        Pipeline((NoReluPass(),)).run(graph, context(graph))


def test_observers_see_every_pass_with_its_time() -> None:
    seen: list[tuple[str, float]] = []
    graph = conv_relu_pool_dense()
    pipeline = fc.default_pipeline().observed_by(lambda step, graph, seconds: seen.append((step.name, seconds)))
    pipeline.run(graph, context(graph))
    assert [name for name, _ in seen] == pipeline.names()
    assert all(seconds >= 0 for _, seconds in seen)


def test_checking_can_be_switched_off() -> None:
    graph = conv_relu_pool_dense()
    passes = fc.default_pipeline().insert_after("canonicalize", ForgetfulPass()).passes
    Pipeline(passes, check=False).run(graph, context(graph))
