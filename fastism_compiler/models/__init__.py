"""Published architectures with random weights, for tests, benchmarks and examples.

Sources are named in each builder. Batch normalisation starts with random
moving statistics, so that nothing cancels by accident.
"""

from fastism_compiler.models.basset import basset, factorized_basset
from fastism_compiler.models.beluga import beluga
from fastism_compiler.models.bpnet import bpnet, bpnet_control_tracks

__all__ = ["basset", "beluga", "bpnet", "bpnet_control_tracks", "factorized_basset"]
