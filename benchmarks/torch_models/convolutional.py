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
        threshold: numbers up to 0 become 1e-6, as the Lua code had it; else a plain ReLU.
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


class Beluga(nn.Module):
    """DeepSEA "Beluga" (Zhou et al. 2018): pairs of two-dimensional convolutions of `[B, 4, 1, L]`, with dropout."""

    def __init__(self, filters: int = 8, tasks: int = 5) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, inputs in enumerate((4, filters, 10)):
            own = filters if number == 0 else 10
            layers += [nn.Conv2d(inputs, own, (1, 8)), nn.ReLU(), nn.Conv2d(own, own, (1, 5)), nn.ReLU()]
            layers += [nn.Dropout(0.2), nn.MaxPool2d((1, 4), (1, 4))] if number < 2 else [nn.Dropout(0.5)]
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Sequential(nn.Flatten(), nn.LazyLinear(12), nn.ReLU(), nn.Linear(12, tasks), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities `[B, tasks]`."""
        return self.dense(self.convolutions(x))


def b_splines(length: int, count: int, degree: int = 3) -> Tensor:
    """A basis of `count` splines on a grid, `[length, count]`, by de Boor's recursion."""
    inner = torch.linspace(0, 1, count - degree + 1, dtype=torch.float64)
    knots = torch.cat([torch.zeros(degree), inner, torch.ones(degree)])
    at = torch.linspace(0, 1 - 1e-9, length, dtype=torch.float64)[:, None]
    basis = ((at >= knots[:-1]) & (at < knots[1:])).double()
    for k in range(1, degree + 1):
        n = len(knots) - 1 - k
        left, right = knots[k : k + n] - knots[:n], knots[k + 1 : k + 1 + n] - knots[1 : 1 + n]
        rising = torch.where(left > 0, (at - knots[:n]) / left.clamp(min=1e-12), 0)
        falling = torch.where(right > 0, (knots[k + 1 : k + 1 + n] - at) / right.clamp(min=1e-12), 0)
        basis = rising * basis[:, :n] + falling * basis[:, 1 : n + 1]
    return basis.float()


class Sei(nn.Module):
    """Sei (Chen et al. 2022): linear beside nonlinear convolutions, dilated residuals, projection on splines.

    Args:
        filters: of the three levels.
        rates: dilations of the residual convolutions.
        length: of sequences.
        splines: basis functions over positions.
        tasks: outputs.
    """

    def __init__(
        self,
        filters: tuple[int, int, int] = (6, 8, 8),
        rates: tuple[int, ...] = (2, 4),
        length: int = 160,
        splines: int = 6,
        tasks: int = 5,
    ) -> None:
        super().__init__()
        sizes, width = list(zip((4, *filters), filters, strict=False)), filters[-1]
        self.linear = nn.ModuleList(
            nn.Sequential(
                *([nn.MaxPool1d(4, 4), nn.Dropout(0.2)] if number else []),
                nn.Conv1d(inputs, own, 9, padding=4),
                nn.Conv1d(own, own, 9, padding=4),
            )
            for number, (inputs, own) in enumerate(sizes)
        )
        self.bent = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(0.2), nn.Conv1d(own, own, 9, padding=4), nn.ReLU(inplace=True),
                nn.Dropout(0.2), nn.Conv1d(own, own, 9, padding=4), nn.ReLU(inplace=True),
            )
            for _, own in sizes
        )  # fmt: skip
        self.dilated = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(0.1), nn.Conv1d(width, width, 5, dilation=rate, padding=2 * rate), nn.ReLU(inplace=True)
            )
            for rate in rates
        )
        self.register_buffer("splines_fixed", b_splines(length // 16, splines))
        self.classifier = nn.Sequential(
            nn.Linear(width * splines, tasks), nn.ReLU(inplace=True), nn.Linear(tasks, tasks), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities `[B, tasks]`."""
        made: Tensor | None = None
        for linear, bent in zip(self.linear, self.bent, strict=True):
            line = linear(x if made is None else made)
            made = bent(line) + line
        for dilated in self.dilated:
            made = made + dilated(made)
        spread = torch.matmul(made, self.splines_fixed)
        return self.classifier(spread.view(spread.size(0), -1))


class _GroupedLinear(nn.Module):
    """A dense layer of its own for each group of the channels."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.zeros(groups, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(groups, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, groups * outputs]`."""
        grouped = x.reshape(x.shape[0], self.groups, -1).permute(1, 0, 2)
        made = torch.baddbmm(self.bias, grouped, self.weight)
        return made.permute(1, 0, 2).reshape(x.shape[0], -1)


class Malinois(nn.Module):
    """Malinois (Gosai et al. 2024): Basset with a branch of dense layers for each cell type."""

    def __init__(self, filters: int = 8, branches: int = 3) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for width, pool, channels in ((9, 3, 4), (7, 4, filters), (5, 4, filters)):
            pads = (width - 1) // 2 + 1
            blocks += [nn.ConstantPad1d((pads, width // 2), 0.0), nn.Conv1d(channels, filters, width),
                       nn.BatchNorm1d(filters), nn.ReLU(), nn.MaxPool1d(pool, stride=pool)]  # fmt: skip
        self.convolutions = nn.Sequential(*blocks)
        self.dense = nn.Sequential(nn.LazyLinear(12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.1))
        self.branches = branches
        self.inside = nn.ModuleList(_GroupedLinear(12 if n == 0 else 7, 7, branches) for n in range(2))
        self.last = _GroupedLinear(7, 1, branches)

    def forward(self, x: Tensor) -> Tensor:
        """Activities `[B, branches]`."""
        x = self.dense(torch.flatten(self.convolutions(x), start_dim=1)).repeat(1, self.branches)
        for layer in self.inside:
            x = functional.dropout(functional.relu(layer(x)), 0.1, self.training)
        return self.last(x)


class _SqueezeExcite(nn.Module):
    """Channels scaled by what the whole sequence holds."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(channels, inner), nn.SiLU(), nn.Linear(inner, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, L]`, as it came in."""
        count, channels, _ = x.size()
        return x * self.layers(x.view(count, channels, -1).mean(dim=2)).view(count, channels, 1)


class LegNet(nn.Module):
    """LegNet (Penzar et al. 2023): depthwise convolutions, squeeze and excite, SiLU, bins of expression."""

    def __init__(self, filters: int = 6, bins: int = 8) -> None:
        super().__init__()

        def convolved(inputs: int, outputs: int, width: int, groups: int = 1) -> list[nn.Module]:
            return [nn.Conv1d(inputs, outputs, width, padding="same", groups=groups, bias=False),
                    nn.BatchNorm1d(outputs), nn.SiLU()]  # fmt: skip

        self.stem = nn.Sequential(*convolved(4, filters, 7))
        self.blocks, self.mixers = nn.ModuleList(), nn.ModuleList()
        for _ in range(2):
            inner = filters * 2
            self.blocks.append(nn.Sequential(
                *convolved(filters, inner, 1), *convolved(inner, inner, 5, groups=inner),
                _SqueezeExcite(inner, 4), *convolved(inner, filters, 1),
            ))  # fmt: skip
            self.mixers.append(nn.Sequential(*convolved(2 * filters, filters, 5)))
        self.mapper = nn.Conv1d(filters, bins, 1)
        self.register_buffer("bins_fixed", torch.arange(bins).float())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithms of probabilities of bins, `[B, bins]`, and the bin to expect, `[B]`."""
        x = self.stem(x)
        for block, mixer in zip(self.blocks, self.mixers, strict=True):
            x = mixer(torch.cat([x, block(x)], dim=1))
        logits = functional.adaptive_avg_pool1d(self.mapper(x), 1).squeeze(2)
        share = functional.softmax(logits, dim=1)
        return functional.log_softmax(logits, dim=1), (share * self.bins_fixed).sum(dim=1)


class DeepSTARR(nn.Module):
    """DeepSTARR (de Almeida et al. 2022): four convolutions and pools, two dense layers, two numbers."""

    def __init__(self, filters: int = 8) -> None:
        super().__init__()
        for number, (inputs, width) in enumerate(((4, 7), (filters, 3), (filters, 5), (filters, 3)), 1):
            setattr(self, f"conv{number}", nn.Conv1d(inputs, filters, width, padding=width // 2))
            setattr(self, f"bn{number}", nn.BatchNorm1d(filters))
        self.fc1, self.bn5 = nn.LazyLinear(12), nn.BatchNorm1d(12)
        self.fc2, self.bn6 = nn.Linear(12, 12), nn.BatchNorm1d(12)
        self.developmental, self.housekeeping = nn.Linear(12, 1), nn.Linear(12, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Activities `[B, 2]`."""
        for number in range(1, 5):
            x = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x))
            x = functional.max_pool1d(functional.relu(x), 2)
        x = x.view(x.shape[0], -1)
        for dense, norm in ((self.fc1, self.bn5), (self.fc2, self.bn6)):
            x = functional.dropout(functional.relu(norm(dense(x))), 0.4, self.training)
        return torch.cat([self.developmental(x), self.housekeeping(x)], dim=1)


class ResNet(nn.Module):
    """A residual network (He et al. 2016) of one axis: strides, shortcuts by convolution, a mean over positions."""

    def __init__(self, filters: int = 8, tasks: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv1d(4, filters, 7, stride=2, padding=3, bias=False), nn.BatchNorm1d(filters), nn.ReLU(inplace=True),
            nn.MaxPool1d(3, stride=2, padding=1),
        )  # fmt: skip
        self.bodies, self.shortcuts = nn.ModuleList(), nn.ModuleList()
        for inputs, own, stride in ((filters, filters, 1), (filters, 12, 2)):
            self.bodies.append(nn.Sequential(
                nn.Conv1d(inputs, own, 3, stride=stride, padding=1, bias=False), nn.BatchNorm1d(own), nn.ReLU(),
                nn.Conv1d(own, own, 3, padding=1, bias=False), nn.BatchNorm1d(own),
            ))  # fmt: skip
            bent = nn.Sequential(nn.Conv1d(inputs, own, 1, stride=stride, bias=False), nn.BatchNorm1d(own))
            self.shortcuts.append(nn.Identity() if stride == 1 else bent)
        self.pool, self.last = nn.AdaptiveAvgPool1d(1), nn.Linear(12, tasks)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, tasks]`."""
        x = self.stem(x)
        for body, shortcut in zip(self.bodies, self.shortcuts, strict=True):
            x = functional.relu(body(x) + shortcut(x))
        return self.last(torch.flatten(self.pool(x), 1))


class ExplaiNN(nn.Module):
    """ExplaiNN (Novakovsky et al. 2023): many small networks side by side, as groups; a sum of them."""

    def __init__(self, units: int = 5, tasks: int = 2) -> None:
        super().__init__()
        self.units = units
        self.filters = nn.Sequential(nn.Conv1d(4 * units, units, 11, groups=units), nn.BatchNorm1d(units))
        self.networks = nn.Sequential(
            nn.MaxPool1d(7, 7), nn.Flatten(), nn.Unflatten(1, (units * 14, 1)),
            nn.Conv1d(14 * units, 6 * units, 1, groups=units), nn.BatchNorm1d(6 * units), nn.ReLU(), nn.Dropout(0.3),
            nn.Conv1d(6 * units, units, 1, groups=units), nn.BatchNorm1d(units), nn.ReLU(), nn.Flatten(),
        )  # fmt: skip
        self.last = nn.Linear(units, tasks)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, tasks]`."""
        return self.last(self.networks(torch.exp(self.filters(x.repeat(1, self.units, 1)))))


class ProteinCNN(nn.Module):
    """Residues as tokens, embedded; convolutions of several widths side by side, maxima over positions."""

    def __init__(self, tokens: int = 21, filters: int = 6) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, 8, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(8, filters, width) for width in (3, 5, 9))
        self.last = nn.Linear(3 * filters, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """`[B, 2]`."""
        x = self.embedding(tokens).transpose(1, 2)
        pooled = [functional.relu(layer(x)).max(dim=2).values for layer in self.convolutions]
        return self.last(torch.cat(pooled, dim=1))
