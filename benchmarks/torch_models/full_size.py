"""Published PyTorch architectures at full size, for `benchmarks.peer_torch`: random weights, the papers' shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.torch_models.convolutional import Sei
from benchmarks.torch_models.profiles import Accessibility, BPNet, SpliceAI


@dataclass(frozen=True)
class Racer:
    """One model of the race.

    Attributes:
        make: the network.
        length: of its sequences.
        func: of its outputs, for both sides.
        positions: how many of them are saturated, in the middle; None: all.
        most: of the batch sizes that tangermeme is tried with, the largest that 24 GiB hold.
    """

    make: Callable[[], nn.Module]
    length: int
    func: Callable[[Any], Any] | None = None
    positions: int | None = None
    most: int = 1024


def _block(inputs: int, filters: int, width: int, pool: int) -> list[nn.Module]:
    return [
        nn.Conv1d(inputs, filters, width, padding=width // 2),
        nn.BatchNorm1d(filters),
        nn.ReLU(),
        nn.MaxPool1d(pool),
    ]


def basset() -> nn.Module:
    """Basset (Kelley et al. 2016) for 600 letters and 164 cell types."""
    layers = [*_block(4, 300, 19, 3), *_block(300, 200, 11, 4), *_block(200, 200, 7, 4), nn.Flatten()]
    dense = [nn.Linear(200 * 12, 1000), nn.BatchNorm1d(1000), nn.ReLU(), nn.Linear(1000, 1000), nn.BatchNorm1d(1000)]
    return nn.Sequential(*layers, *dense, nn.ReLU(), nn.Linear(1000, 164), nn.Sigmoid())


def deepstarr() -> nn.Module:
    """DeepSTARR (de Almeida et al. 2022) for 249 letters."""
    widths = ((4, 256, 7), (256, 60, 3), (60, 60, 5), (60, 120, 3))
    layers = [layer for inputs, filters, width in widths for layer in _block(inputs, filters, width, 2)]
    dense = [nn.Linear(120 * 15, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 256), nn.BatchNorm1d(256)]
    return nn.Sequential(*layers, nn.Flatten(), *dense, nn.ReLU(), nn.Linear(256, 2))


def beluga() -> nn.Module:
    """DeepSEA "Beluga" (Zhou et al. 2018) for 2,000 letters and 2,002 profiles."""
    layers: list[nn.Module] = []
    for inputs, filters in ((4, 320), (320, 480), (480, 640)):
        layers += [nn.MaxPool1d(4), nn.Dropout(0.2)] if inputs > 4 else []
        layers += [nn.Conv1d(inputs, filters, 8), nn.ReLU(), nn.Conv1d(filters, filters, 8), nn.ReLU()]
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(640 * 106, 2003), nn.ReLU(), nn.Linear(2003, 2002), nn.Sigmoid()
    )


_spliceai = partial(SpliceAI, filters=32, crop=5000, groups=((11, 1), (11, 4), (21, 10), (41, 25)), blocks=4)


# of 21,907 profiles 1,000: an ONNX model holds 2 GB
_sei = partial(Sei, filters=(480, 640, 960), rates=(2, 4, 8, 16, 25), length=4096, splines=16, tasks=1000)


def _counts(outputs: Any) -> Any:
    return outputs[1]


def _acceptor(outputs: Any) -> Any:
    """One of three probabilities: their mean, which is scored by default, is the same for every mutant."""
    return outputs[:, 1]


def _both(outputs: Any) -> Any:
    profile, counts = outputs
    return torch.cat([profile.flatten(1), counts], dim=1)


RACERS: Mapping[str, Racer] = {
    "deepstarr": Racer(deepstarr, 249),
    "basset": Racer(basset, 600),
    "beluga": Racer(beluga, 2000, positions=200, most=32),
    "sei": Racer(_sei, 4096, positions=20, most=32),
    "bpnet counts": Racer(partial(BPNet, filters=64, layers=8, trim=557), 2114, _counts),
    "bpnet": Racer(partial(BPNet, filters=64, layers=8, trim=557), 2114, _both, positions=400),
    "chrombpnet counts": Racer(
        partial(Accessibility, filters=512, layers=8, out=1000, widths=(21, 75)), 2114, _counts, positions=100
    ),
    "spliceai": Racer(_spliceai, 10_101, _acceptor, positions=51, most=128),
}
"""Name -> model. Where a scan of all positions takes minutes on two cores, some in the middle are scanned."""
