"""Rewrites of a converted ONNX model, one module each, in the order in which they run."""

from fastism_compiler.export.onnx_passes.hoist import hoist_invariants
from fastism_compiler.export.onnx_passes.initializers import bind_weights
from fastism_compiler.export.onnx_passes.names import clean_names

__all__ = ["bind_weights", "clean_names", "hoist_invariants"]
