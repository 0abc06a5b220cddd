"""The intermediate representation: graph, types, change ranges, op rules, text form, verifier."""

from fastism_compiler.ir.dot import to_dot
from fastism_compiler.ir.facts import Facts, Form, LayerClass, Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.position_map import PositionMap, identity, same_padding
from fastism_compiler.ir.printer import node_line, to_text
from fastism_compiler.ir.ranges import Carrier, ChangeRanges, Constant, Full, Kept, State, Window
from fastism_compiler.ir.types import BATCH, TensorType
from fastism_compiler.ir.verifier import StageSpec, verify

__all__ = [
    "BATCH",
    "Carrier",
    "ChangeRanges",
    "Constant",
    "Facts",
    "Form",
    "Full",
    "Graph",
    "Kept",
    "LayerClass",
    "Node",
    "PositionMap",
    "Section",
    "StageSpec",
    "State",
    "TensorType",
    "Window",
    "identity",
    "node_line",
    "same_padding",
    "to_dot",
    "to_text",
    "verify",
]
