"""Published architectures with random weights, for tests, benchmarks and examples.

Sources are named in each builder. Batch normalisation starts with random
moving statistics, so that nothing cancels by accident.
"""

from fastism_compiler.models.activity import danq, deepstarr, optimus_5prime, scbasset
from fastism_compiler.models.basset import basset, factorized_basset
from fastism_compiler.models.beluga import beluga
from fastism_compiler.models.bpnet import bpnet, bpnet_control_tracks
from fastism_compiler.models.large import basenji2, borzoi, enformer, promoterai, spliceai
from fastism_compiler.models.profile import chrombpnet, dilated_cnn
from fastism_compiler.models.sei import sei

__all__ = [
    "basenji2",
    "basset",
    "beluga",
    "borzoi",
    "bpnet",
    "bpnet_control_tracks",
    "chrombpnet",
    "danq",
    "deepstarr",
    "dilated_cnn",
    "enformer",
    "factorized_basset",
    "optimus_5prime",
    "promoterai",
    "scbasset",
    "sei",
    "spliceai",
]
