"""ONNX: traced programs as models of another runtime, and the rewrites that they go through."""

from fastism_compiler.emit.onnx.conversion import onnx_model, weight_name
from fastism_compiler.emit.onnx.hoist import hoist_invariants
from fastism_compiler.emit.onnx.initializers import bind_weights
from fastism_compiler.emit.onnx.names import clean_names

__all__ = ["bind_weights", "clean_names", "hoist_invariants", "onnx_model", "weight_name"]
