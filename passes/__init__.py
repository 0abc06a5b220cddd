"""The passes, one module each, and the pipeline that runs them."""

from fastism_compiler.passes.base import Context, Kind, Pass
from fastism_compiler.passes.cost.machine import ONE_GPU, TWO_CORES, Machine
from fastism_compiler.passes.pipeline import DEFAULT, Pipeline, default_pipeline

__all__ = ["DEFAULT", "ONE_GPU", "TWO_CORES", "Context", "Kind", "Machine", "Pass", "Pipeline", "default_pipeline"]
