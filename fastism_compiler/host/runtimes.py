"""The names of runtimes: what compiles and runs programs."""

from __future__ import annotations

AUTO = "auto"
"""The first of the others that has a GPU."""
RUNTIMES = ("tensorflow", "jax", "onnxruntime", AUTO)
