"""PyTorch models: `from_torch`, and tangermeme's saturation mutagenesis and variant effects, by its arguments."""

from __future__ import annotations

from importlib.util import find_spec

from fastism_compiler.torch.triton_first import load_triton

if find_spec("torch") is None:
    raise ImportError("PyTorch is not installed: pip install 'fastism-compiler[torch]'")

# before the other modules, which load TensorFlow
load_triton()

from fastism_compiler.torch.program import TorchISM, from_torch  # noqa: E402
from fastism_compiler.torch.saturation import SaturationResult, saturation_mutagenesis  # noqa: E402
from fastism_compiler.torch.variant_effect import (  # noqa: E402
    PerturbationResult,
    deletion_effect,
    insertion_effect,
    substitution_effect,
)

__all__ = [
    "PerturbationResult",
    "SaturationResult",
    "TorchISM",
    "deletion_effect",
    "from_torch",
    "insertion_effect",
    "saturation_mutagenesis",
    "substitution_effect",
]
