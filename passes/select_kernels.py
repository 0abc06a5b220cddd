"""select-kernels: the lowering of each linear op on deltas with the lowest predicted cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastism_compiler.ir.checks import has_kernel
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.ir.facts import Form, Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.kernels import KERNELS, Contraction
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.queries import kernels_for, rule_of
from fastism_compiler.ir.verifier import StageSpec
from fastism_compiler.passes.base import Context, Kind, Pass
from fastism_compiler.passes.cost.kernels import candidate_for, cheapest


@dataclass(frozen=True)
class SelectKernelsPass(Pass):
    """Name a kernel for every contraction that runs on deltas.

    1. The kernels that compute it (`KernelSpec.computes`): a plain convolution
       (stride 1, one group) has a choice, every other contraction has one kernel.
    2. If some of these are in the option `kernels`, only those.
    3. The cheapest: by the cost model, or by time where the context has a
       stopwatch (`Context.measure`).

    Raises:
        OptionError: a name in `kernels` that is no kernel.
    """

    name: ClassVar[str] = "select-kernels"
    kind: ClassVar[Kind] = Kind.ANALYSIS
    requires: ClassVar[tuple[str, ...]] = ("insert-slice-assign",)
    ensures: ClassVar[StageSpec] = StageSpec(tile=(has_kernel,))

    kernels: tuple[str, ...] = tuple(k for k, spec in KERNELS.items() if Contraction.CONVOLUTION in spec.computes)

    def __post_init__(self) -> None:
        unknown = [name for name in self.kernels if name not in KERNELS]
        if unknown:
            raise OptionError("no kernel of that name", expected=f"some of {list(KERNELS)}", got=unknown)

    def run(self, graph: Graph, context: Context) -> None:
        for node in graph.nodes(Section.TILE):
            if rule_of(node).contraction and node.facts.form is Form.DELTA:
                node.facts.kernel = self._chosen(node, context)

    def _chosen(self, node: Node, context: Context) -> str:
        able = kernels_for(node)
        able = tuple(name for name in able if name in self.kernels) or able
        if len(able) == 1:
            return able[0]
        return cheapest([candidate_for(node, name, context) for name in able], context).kernel
