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


class _Accessibility(nn.Module):
    """One half of ChromBPNet: no padding, so that residuals are cropped."""

    def __init__(self, filters: int, layers: int, out: int) -> None:
        super().__init__()
        self.out = out
        self.first = nn.Conv1d(4, filters, 15)
        self.dilated = nn.ModuleList(nn.Conv1d(filters, filters, 3, dilation=2**i) for i in range(1, layers + 1))
        self.profile = nn.Conv1d(filters, 1, 21)
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
        self.bias = _Accessibility(filters // 2, 2, out)
        self.accessibility = _Accessibility(filters, 4, out)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `[B, out]` and the logarithm of the number of reads, `[B, 1]`."""
        bias, bias_counts = self.bias(x)
        profile, counts = self.accessibility(x)
        both = torch.cat([bias_counts, counts], dim=-1)
        return profile + bias, torch.logsumexp(both, dim=-1, keepdim=True)
