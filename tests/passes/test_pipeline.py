from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
from fastism_compiler.ir import Facts, Graph
from fastism_compiler.passes import Kind, Pipeline

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
        "canonicalize", "classify-layers", "demand", "propagate-ranges", "segment", "insert-slice-assign",
        "select-kernels", "place-windows", "plan-tiles", "choose-program",
    ]  # fmt: skip


def test_editing() -> None:
    new, names = ForgetfulPass(), fc.default_pipeline().names()
    assert fc.default_pipeline().insert_before("demand", new).names()[2] == "forgetful"
    assert fc.default_pipeline().insert_after("demand", new).names()[3] == "forgetful"
    assert fc.default_pipeline().replace("demand", new).names()[2] == "forgetful"
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
        fc.PassError, match=r"pass forgetful failed after canonicalize, classify-layers, demand"
    ) as info:
        pipeline.run(graph, context(graph))
    assert "a node has no class" in str(info.value)
    assert "conv_1" in str(info.value)


def test_missing_requirements_are_named() -> None:
    graph = conv_relu_pool_dense()
    with pytest.raises(fc.PassError, match="needs others before it"):
        fc.default_pipeline().remove("classify-layers").run(graph, context(graph))


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
