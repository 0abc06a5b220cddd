"""Models that predict one number per position: profiles of reads, and scores of splicing."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class BPNet(nn.Module):
    """BPNet (Avsec et al. 2021): dilated residual layers, a profile head and a head for the number of reads.

    Args:
        filters: channels.
        layers: dilated layers; the dilation doubles.
        trim: positions that the profile lacks on either side.
        controls: tracks of a control experiment, a second input; 0: none.
    """

    def __init__(self, filters: int = 8, layers: int = 4, trim: int = 32, controls: int = 0) -> None:
        super().__init__()
        self.trim = trim
        self.first = nn.Conv1d(4, filters, 21, padding=10)
        rates = [2**i for i in range(1, layers + 1)]
        self.dilated = nn.ModuleList(nn.Conv1d(filters, filters, 3, padding=rate, dilation=rate) for rate in rates)
        self.profile = nn.Conv1d(filters + controls, 2, 25, padding=12)
        self.counts = nn.Linear(filters + (controls > 0), 1)

    def forward(self, x: Tensor, control: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits `[B, 2, L - 2 * trim]` and the logarithm of the number of reads, `[B, 1]`."""
        begin, end = self.trim, x.shape[2] - self.trim
        x = functional.relu(self.first(x))
        for layer in self.dilated:
            x = x + functional.relu(layer(x))
        wide = x if control is None else torch.cat([x, control], dim=1)
        profile = self.profile(wide)[:, :, begin:end]
        mean = x[:, :, begin - 12 : end + 12].mean(dim=2)
        if control is not None:
            reads = control[:, :, begin - 12 : end + 12].sum(dim=(1, 2)).unsqueeze(-1)
            mean = torch.cat([mean, torch.log(reads + 1)], dim=-1)
        return profile, self.counts(mean).reshape(mean.shape[0], 1)


class Accessibility(nn.Module):
    """One half of ChromBPNet: no padding, so that residuals are cropped.

    Args:
        filters: channels.
        layers: dilated layers; the dilation doubles.
        out: positions of the profile.
        widths: of the first convolution and of the profile's.
    """

    def __init__(self, filters: int, layers: int, out: int, widths: tuple[int, int] = (15, 21)) -> None:
        super().__init__()
        self.out = out
        self.first = nn.Conv1d(4, filters, widths[0])
        self.dilated = nn.ModuleList(nn.Conv1d(filters, filters, 3, dilation=2**i) for i in range(1, layers + 1))
        self.profile = nn.Conv1d(filters, 1, widths[1])
        self.counts = nn.Linear(filters, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `[B, out]`, counts `[B, 1]`."""
        x = functional.relu(self.first(x))
        for layer in self.dilated:
            made = functional.relu(layer(x))
            crop = (x.shape[-1] - made.shape[-1]) // 2
            x = x[:, :, crop:-crop] + made
        profile = self.profile(x)
        crop = (profile.shape[-1] - self.out) // 2
        pooled = functional.adaptive_avg_pool1d(x, 1).squeeze(-1)
        return profile[:, :, crop : profile.shape[-1] - crop].squeeze(1), self.counts(pooled)


class ChromBPNet(nn.Module):
    """ChromBPNet (Pampari et al. 2025): what the enzyme prefers and what is accessible, added as logits and reads."""

    def __init__(self, filters: int = 8, out: int = 12) -> None:
        super().__init__()
        self.bias = Accessibility(filters // 2, 2, out)
        self.accessibility = Accessibility(filters, 4, out)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `[B, out]` and the logarithm of the number of reads, `[B, 1]`."""
        bias, bias_counts = self.bias(x)
        profile, counts = self.accessibility(x)
        both = torch.cat([bias_counts, counts], dim=-1)
        return profile + bias, torch.logsumexp(both, dim=-1, keepdim=True)


class _Residual(nn.Module):
    """Two convolutions behind normalisation, added to what came in."""

    def __init__(self, filters: int, width: int, rate: int, slope: float = 0.0) -> None:
        super().__init__()
        self.slope = slope
        self.norms = nn.ModuleList(nn.BatchNorm1d(filters) for _ in range(2))
        pad = rate * (width - 1) // 2
        self.convolutions = nn.ModuleList(
            nn.Conv1d(filters, filters, width, padding=pad, dilation=rate) for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, L]`, as it came in."""
        y = x
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            y = norm(y)
            y = functional.leaky_relu(y, self.slope) if self.slope else functional.relu(y)
            y = convolution(y)
        return x + y


class SpliceAI(nn.Module):
    """SpliceAI (Jaganathan et al. 2019): residual blocks of growing dilation, summed over skips, cropped.

    Args:
        filters: channels.
        crop: positions cut off on either side.
        groups: width and dilation of the blocks of each group.
        blocks: of each group.
    """

    def __init__(
        self,
        filters: int = 8,
        crop: int = 40,
        groups: tuple[tuple[int, int], ...] = ((5, 1), (5, 2), (7, 3)),
        blocks: int = 2,
    ) -> None:
        super().__init__()
        self.crop = crop
        self.first, self.skip = nn.Conv1d(4, filters, 1), nn.Conv1d(filters, filters, 1)
        self.blocks = nn.ModuleList()
        self.skips = nn.ModuleList()
        for width, rate in groups:
            self.blocks.append(nn.Sequential(*(_Residual(filters, width, rate) for _ in range(blocks))))
            self.skips.append(nn.Conv1d(filters, filters, 1))
        self.last = nn.Conv1d(filters, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities `[B, 3, L - 2 * crop]`: neither, acceptor, donor."""
        x = self.first(x)
        total = self.skip(x)
        for block, skip in zip(self.blocks, self.skips, strict=True):
            x = block(x)
            total = total + skip(x)
        total = total[:, :, self.crop : -self.crop]
        return functional.softmax(self.last(total), dim=1)


class Pangolin(nn.Module):
    """Pangolin (Zeng and Li 2022): SpliceAI's blocks, two outputs for each tissue, cropped by negative padding."""

    def __init__(self, filters: int = 8, crop: int = 40, tissues: int = 2) -> None:
        super().__init__()
        self.crop = crop
        self.first, self.skip = nn.Conv1d(4, filters, 1), nn.Conv1d(filters, filters, 1)
        self.blocks = nn.ModuleList(_Residual(filters, width, rate) for width, rate in ((5, 1), (5, 4), (9, 3)))
        self.skips = nn.ModuleList(nn.Conv1d(filters, filters, 1) for _ in range(2))
        self.scores = nn.ModuleList(nn.Conv1d(filters, 2, 1) for _ in range(tissues))
        self.usage = nn.ModuleList(nn.Conv1d(filters, 1, 1) for _ in range(tissues))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """For each tissue `[B, 2, L']` and `[B, 1, L']`."""
        x = self.first(x)
        total, skips = self.skip(x), iter(self.skips)
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number > 0:
                total = total + next(skips)(x)
        total = functional.pad(total, (-self.crop, -self.crop))
        made = []
        for score, usage in zip(self.scores, self.usage, strict=True):
            made += [functional.softmax(score(total), dim=1), torch.sigmoid(usage(total))]
        return tuple(made)


class OpenSpliceAI(nn.Module):
    """OpenSpliceAI (Chao et al. 2025): leaky ReLU, and skips handed from block to block as pairs."""

    def __init__(self, filters: int = 8, crop: int = 40) -> None:
        super().__init__()
        self.crop = crop
        self.first = nn.Conv1d(4, filters, 1)
        self.blocks = nn.ModuleList(_Residual(filters, 9, rate, slope=0.1) for rate in (1, 2, 4))
        self.skips = nn.ModuleList(nn.Conv1d(filters, filters, 1) for _ in range(4))
        self.last = nn.Conv1d(filters, 3, 1)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities `[B, 3, L - 2 * crop]`."""
        first = self.first(x)
        pair = first, self.skips[0](first)
        for block, skip in zip(self.blocks, list(self.skips)[1:], strict=True):
            made = block(pair[0])
            pair = made, pair[1] + skip(made)
        total = pair[1]
        return self.softmax(self.last(total[..., self.crop : total.shape[2] - self.crop]))


class UNet(nn.Module):
    """A U-net (Ronneberger et al. 2015) of one axis: pools, and back up beside what was kept.

    Args:
        transposed: up by `ConvTranspose1d`; else by repeating the nearest position.
    """

    def __init__(self, filters: int = 6, transposed: bool = True) -> None:
        super().__init__()
        self.first = self._two(4, filters)
        self.down = nn.ModuleList(nn.Sequential(nn.MaxPool1d(2), self._two(n, 2 * n)) for n in (filters, 2 * filters))
        self.up, self.merge = nn.ModuleList(), nn.ModuleList()
        for n in (4 * filters, 2 * filters):
            smaller = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv1d(n, n // 2, 3, padding="same"))
            self.up.append(nn.ConvTranspose1d(n, n // 2, 2, stride=2) if transposed else smaller)
            self.merge.append(self._two(n, n // 2))
        self.last = nn.Conv1d(filters, 2, 1)

    @staticmethod
    def _two(inputs: int, filters: int) -> nn.Module:
        layers: list[nn.Module] = []
        for n in (inputs, filters):
            layers += [nn.Conv1d(n, filters, 3, padding=1), nn.BatchNorm1d(filters), nn.ReLU(inplace=True)]
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, 2, L]`."""
        x = self.first(x)
        kept = []
        for down in self.down:
            kept.append(x)
            x = down(x)
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([kept.pop(), up(x)], dim=1))
        return functional.softplus(self.last(x))
