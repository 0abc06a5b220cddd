"""PyTorch models: `from_torch`, and saturation mutagenesis with the arguments and results of tangermeme."""

from __future__ import annotations

from fastism_compiler.torch.program import TorchISM, from_torch
from fastism_compiler.torch.saturation import SaturationResult, saturation_mutagenesis

__all__ = ["SaturationResult", "TorchISM", "from_torch", "saturation_mutagenesis"]
