"""Single features of PyTorch that models are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations


class LettersLast(nn.Module):
    """Takes `[B, L, 4]`, and puts letters first itself."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(nn.Conv1d(4, 8, 7), nn.ReLU(), nn.MaxPool1d(3), nn.Conv1d(8, 6, 5), nn.ReLU())
        self.last = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, 2]`."""
        return self.last(torch.amax(self.convolutions(x.transpose(1, 2)), dim=-1))


class Groups(nn.Module):
    """Norms over groups of channels, and over positions of each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(4, 8, 7, padding=3), nn.Conv1d(8, 6, 5, padding=2)
        self.by_group, self.by_channel = nn.GroupNorm(4, 8), nn.InstanceNorm1d(6, affine=True)
        self.last = nn.Conv1d(6, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, L]`."""
        x = functional.gelu(self.by_group(self.first(x)), approximate="tanh")
        x = torch.relu(self.by_channel(self.second(x)))
        return self.last(x).squeeze(1)


class Activations(nn.Module):
    """Many activations, one behind each convolution."""

    def __init__(self) -> None:
        super().__init__()
        kinds = [nn.GELU(), nn.Softplus(), nn.Mish(), nn.PReLU(6), nn.Hardswish(), nn.ELU(), nn.SELU(), nn.CELU(0.7),
                 nn.Hardsigmoid(), nn.Softsign(), nn.Tanhshrink(), nn.LogSigmoid(), nn.ReLU6(), nn.Hardtanh(),
                 nn.GLU(1), nn.Softshrink(), nn.Hardshrink(), nn.Softmin(1)]  # fmt: skip
        self.kinds = nn.ModuleList(kinds)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(4 if n == 0 else 6, 12 if isinstance(kind, nn.GLU) else 6, 3 if n % 3 == 0 else 1, padding="same")
            for n, kind in enumerate(kinds)
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[B, 6]`."""
        total = None
        for convolution, kind in zip(self.convolutions, self.kinds, strict=True):
            x = kind(convolution(x))
            total = x if total is None else total + 0.5 * x
        return torch.logsumexp(total, dim=-1)


class Parametrized(nn.Module):
    """Weights made of other weights: by norm and direction, and by hand.

    Args:
        spectral: others are divided by their largest singular value.
    """

    def __init__(self, spectral: bool = False) -> None:
        super().__init__()
        self.first = parametrizations.weight_norm(nn.Conv1d(4, 8, 9, padding=4))
        second = nn.Conv1d(8, 8, 5)
        self.second = parametrizations.spectral_norm(second) if spectral else second
        self.scale = nn.Parameter(torch.ones(8))
        self.last = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, 2]`."""
        x = functional.relu(self.second(functional.relu(self.first(x))))
        weight = self.last.weight * functional.softplus(self.scale)
        return functional.linear(x.mean(-1), weight, self.last.bias)


class AdaptivePools(nn.Module):
    """Adaptive pools, to some positions and to one.

    Args:
        maximum: the first takes maxima.
        positions: what it leaves.
    """

    def __init__(self, maximum: bool = False, positions: int = 15) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(4, 8, 7, padding=3), nn.Conv1d(8, 6, 3, padding=1)
        self.pool = nn.AdaptiveMaxPool1d(positions) if maximum else nn.AdaptiveAvgPool1d(positions)
        self.whole, self.last = nn.AdaptiveAvgPool1d(1), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, 2]`."""
        x = self.pool(functional.silu(self.first(x)))
        return self.last(self.whole(functional.silu(self.second(x))).squeeze(-1))


class OneTask(nn.Module):
    """One task of a model of several, `y[:, 3]`."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv1d(4, 8, 9), nn.ReLU(), nn.AvgPool1d(4), nn.Flatten(), nn.LazyLinear(6), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[B]`."""
        return self.model(x)[:, 3]


class BothStrands(nn.Module):
    """The mean of a profile of the sequence and of its reverse complement."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Conv1d(4, 8, 9, padding=4), nn.ReLU(), nn.Conv1d(8, 2, 5, padding=2))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, 2, L]`."""
        return (self.model(x) + self.model(x.flip([1, 2])).flip([1, 2])) / 2


class ConvNeXt(nn.Module):
    """ConvNeXt blocks (Liu et al. 2022) of one axis: depthwise, `LayerNorm` of channels, GELU, scaled residuals."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, width, 4, stride=4)
        self.spread = nn.ModuleList(nn.Conv1d(width, width, 7, padding=3, groups=width) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width)) for _ in range(2)
        )
        self.scales = nn.ParameterList(torch.ones(width) for _ in range(2))
        self.last = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, 2]`."""
        x = self.stem(x)
        for spread, norm, layers, scale in zip(self.spread, self.norms, self.layers, self.scales, strict=True):
            made = layers(norm(spread(x).permute(0, 2, 1))) * scale
            x = x + made.permute(0, 2, 1)
        return self.last(x.mean(dim=-1))
