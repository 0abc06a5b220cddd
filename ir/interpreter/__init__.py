"""An interpreter of graphs, in numpy and float64: what a graph means, for tests and for reading.

It is written for clarity, not for speed: one function per op on whole
values, no kernels, no tiles. `evaluate` runs the reference section, that is,
the model; `evaluate_rows` runs the tile section of a lowered graph.
"""

from fastism_compiler.ir.interpreter.evaluate import Calls, evaluate
from fastism_compiler.ir.interpreter.rows import evaluate_rows

__all__ = ["Calls", "evaluate", "evaluate_rows"]
