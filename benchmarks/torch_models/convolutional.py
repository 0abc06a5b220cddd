"""Convolutions and pools, then dense layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Basset(nn.Module):
    """Basset (Kelley et al. 2016): three convolutions and pools, two dense layers, an output for each cell type."""

    def __init__(self, filters: int = 8, tasks: int = 6) -> None:
        super().__init__()
        widths, pools, inputs = [11, 7, 5], [3, 4, 4], [4, filters, filters]
        blocks = []
        for width, pool, channels in zip(widths, pools, inputs, strict=True):
            blocks += [nn.Conv1d(channels, filters, width, padding=width // 2), nn.BatchNorm1d(filters), nn.ReLU(),
                       nn.MaxPool1d(pool)]  # fmt: skip
        self.convolutions = nn.Sequential(*blocks)
        dense = []
        for channels in (filters * 3, 12):
            dense += [nn.Linear(channels, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.3)]
        self.dense = nn.Sequential(*dense, nn.Linear(12, tasks))

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities `[B, tasks]`."""
        x = self.convolutions(x)
        return torch.sigmoid(self.dense(x.view(x.size(0), -1)))


class DeepSEA(nn.Module):
    """DeepSEA (Zhou and Troyanskaya 2015), for `[B, 4, 1, L]` as it was written first.

    Args:
        filters: channels.
        threshold: numbers below 1e-6 become 0, as the Lua code had it; else a plain ReLU.
    """

    def __init__(self, filters: int = 8, threshold: bool = False) -> None:
        super().__init__()

        def rectified() -> nn.Module:
            return nn.Threshold(0, 1e-6) if threshold else nn.ReLU()

        self.convolutions = nn.Sequential(
            nn.Conv2d(4, filters, (1, 8)), rectified(), nn.MaxPool2d((1, 4), (1, 4)), nn.Dropout(0.2),
            nn.Conv2d(filters, filters, (1, 8)), rectified(), nn.MaxPool2d((1, 4), (1, 4)), nn.Dropout(0.2),
            nn.Conv2d(filters, 12, (1, 4)), rectified(), nn.Dropout(0.5),
        )  # fmt: skip
        self.dense = nn.Sequential(nn.LazyLinear(16), rectified(), nn.Linear(16, 5), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities `[B, 5]`."""
        x = self.convolutions(x)
        return self.dense(functional.dropout(x.reshape(x.size(0), -1), 0.1, self.training))
