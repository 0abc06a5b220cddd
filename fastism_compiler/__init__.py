"""fastism_compiler: Keras 3 models compiled into fast, exact in-silico mutagenesis programs."""

from pathlib import Path

# `ir/` and `passes/` stand beside this folder in a source checkout, and inside
# it once installed. The guard lets the checkout work uninstalled, and keeps a
# checkout's folders from shadowing those of a wheel imported from elsewhere.
_ROOT = Path(__file__).resolve().parent.parent
if not (Path(__file__).parent / "ir").is_dir() and (_ROOT / "passes" / "pipeline.py").is_file():
    __path__.append(str(_ROOT))

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastism_compiler import ir, passes
from fastism_compiler._version import __version__
from fastism_compiler.errors import (
    ArtifactError,
    InputError,
    InputTypeError,
    LayerNameError,
    MemoryBudgetError,
    ModelError,
    ReplacementError,
    UnsupportedError,
    VerificationError,
)
from fastism_compiler.frontend.backend import check_backend
from fastism_compiler.host.quiet import quieten
from fastism_compiler.host.xla_cache import use_compilation_cache
from fastism_compiler.ir.errors import FastISMError, IRError, OptionError, PassError, RangeError
from fastism_compiler.passes import Context, Pass, Pipeline, default_pipeline
from fastism_compiler.runs.errors import RunError, StoreError

if TYPE_CHECKING:
    from fastism_compiler import models
    from fastism_compiler.compiled import CompiledISM
    from fastism_compiler.compiler import compile
    from fastism_compiler.drop_in import FastISM, NaiveISM
    from fastism_compiler.evolution.search import design
    from fastism_compiler.export.load import load
    from fastism_compiler.formats import convert
    from fastism_compiler.formats.view import open_scan
    from fastism_compiler.frontend.around import around
    from fastism_compiler.frontend.keras.registry import ReceptiveField, register_layer, unregister_layer
    from fastism_compiler.mutations.shuffles import shuffles
    from fastism_compiler.mutations.spelling import one_hot
    from fastism_compiler.results.blocks import ScoreBlock, SparseDeltas
    from fastism_compiler.results.labelled import to_dataframe, to_xarray
    from fastism_compiler.results.pairs import PairEffects
    from fastism_compiler.runs.check import StoreReport, check_store
    from fastism_compiler.runs.run import Summary
    from fastism_compiler.runs.scan import scan
    from fastism_compiler.runs.settings import Execution, ScanSettings, VariantSettings
    from fastism_compiler.runs.variants import scan_variants
    from fastism_compiler.runtime.program import Program
    from fastism_compiler.torch.program import from_torch

_LAZY = {
    "CompiledISM": "compiled",
    "ScoreBlock": "results.blocks",
    "around": "frontend.around",
    "SparseDeltas": "results.blocks",
    "load": "export.load",
    "Execution": "runs.settings",
    "ScanSettings": "runs.settings",
    "StoreReport": "runs.check",
    "Summary": "runs.run",
    "VariantSettings": "runs.settings",
    "check_store": "runs.check",
    "compile": "compiler",
    "convert": "formats",
    "design": "evolution.search",
    "FastISM": "drop_in",
    "NaiveISM": "drop_in",
    "PairEffects": "results.pairs",
    "Program": "runtime.program",
    "ReceptiveField": "frontend.keras.registry",
    "from_torch": "torch.program",
    "models": "",
    "one_hot": "mutations.spelling",
    "open_scan": "formats.view",
    "register_layer": "frontend.keras.registry",
    "scan": "runs.scan",
    "scan_variants": "runs.variants",
    "shuffles": "mutations.shuffles",
    "to_dataframe": "results.labelled",
    "to_xarray": "results.labelled",
    "unregister_layer": "frontend.keras.registry",
}


_WITH_KERAS = {
    "CompiledISM", "FastISM", "NaiveISM", "ReceptiveField", "compile", "from_torch", "load", "models", "register_layer",
    "unregister_layer",
}  # fmt: skip
"""Names whose modules import Keras."""


def __getattr__(name: str) -> Any:
    """TensorFlow is imported with the first name that needs it."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _WITH_KERAS:
        check_backend()
    if name == "models":
        return import_module(f"{__name__}.models")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    """The public names, including those not yet imported."""
    return __all__


__all__ = [
    "ArtifactError",
    "CompiledISM",
    "Context",
    "Execution",
    "FastISM",
    "FastISMError",
    "IRError",
    "InputError",
    "InputTypeError",
    "LayerNameError",
    "MemoryBudgetError",
    "ModelError",
    "NaiveISM",
    "OptionError",
    "PairEffects",
    "Pass",
    "PassError",
    "Pipeline",
    "Program",
    "RangeError",
    "ReceptiveField",
    "ReplacementError",
    "RunError",
    "ScanSettings",
    "ScoreBlock",
    "SparseDeltas",
    "StoreError",
    "StoreReport",
    "Summary",
    "UnsupportedError",
    "VariantSettings",
    "VerificationError",
    "__version__",
    "around",
    "check_store",
    "compile",
    "convert",
    "default_pipeline",
    "design",
    "from_torch",
    "ir",
    "load",
    "models",
    "one_hot",
    "open_scan",
    "passes",
    "quieten",
    "register_layer",
    "scan",
    "scan_variants",
    "shuffles",
    "to_dataframe",
    "to_xarray",
    "unregister_layer",
    "use_compilation_cache",
]
