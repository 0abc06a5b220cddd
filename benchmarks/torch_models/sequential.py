"""Recurrences and attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class DanQ(nn.Module):
    """DanQ (Quang and Xie 2016): a convolution and a pool, an LSTM in both directions, two dense layers.

    Args:
        batch_first: how the LSTM takes its sequences.
        filters: channels.
        projected: size to which the LSTM projects its state; 0: not at all.
    """

    def __init__(self, batch_first: bool = True, filters: int = 8, projected: int = 0) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.convolution = nn.Conv1d(4, filters, 13)
        self.pool, self.drop = nn.MaxPool1d(6, 6), nn.Dropout(0.2)
        self.lstm = nn.LSTM(filters, 6, bidirectional=True, batch_first=batch_first, proj_size=projected)
        self.dense, self.last = nn.LazyLinear(10), nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities `[B, 4]`."""
        x = self.drop(self.pool(functional.relu(self.convolution(x))))
        if self.batch_first:
            x, _ = self.lstm(x.transpose(1, 2))
        else:
            x, _ = self.lstm(x.permute(2, 0, 1))
            x = x.transpose(0, 1)
        x = functional.relu(self.dense(x.contiguous().view(x.size(0), -1)))
        return torch.sigmoid(self.last(x))


class RecurrentStack(nn.Module):
    """A convolution, two layers of GRU, and the state behind the last step."""

    def __init__(self, filters: int = 6, units: int = 6) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(4, filters, 7, stride=3)
        self.gru = nn.GRU(filters, units, num_layers=2, batch_first=True, dropout=0.1)
        self.last = nn.Linear(units, 2)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, 2]`."""
        _, state = self.gru(torch.relu(self.convolution(x)).permute(0, 2, 1))
        return self.last(state[-1])


class Encoder(nn.Module):
    """A convolution and a pool, learned positions, `nn.TransformerEncoder`, a mean over positions."""

    def __init__(self, batch_first: bool = True, width: int = 8, steps: int = 20) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.convolution, self.pool = nn.Conv1d(4, width, 7, padding=3), nn.MaxPool1d(4)
        self.places = nn.Parameter(torch.zeros(1, steps, width))
        layer = nn.TransformerEncoderLayer(
            width, 2, dim_feedforward=12, activation="relu" if batch_first else "gelu", batch_first=batch_first,
            norm_first=not batch_first,
        )  # fmt: skip
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.last = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, 3]`."""
        x = self.pool(functional.relu(self.convolution(x))).permute(0, 2, 1) + self.places
        x = self.encoder(x) if self.batch_first else self.encoder(x.transpose(0, 1)).transpose(0, 1)
        return self.last(x.mean(dim=1))


class SelfAttention(nn.Module):
    """A convolution, then `nn.MultiheadAttention` by itself, beside a residual and `LayerNorm`."""

    def __init__(self, width: int = 8, steps: int = 20) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(4, width, 5, stride=4, padding=2)
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.norm, self.last = nn.LayerNorm(width), nn.Linear(width * steps, 2)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, 2]`."""
        x = torch.tanh(self.convolution(x)).transpose(1, 2)
        made, _ = self.attention(x, x, x, need_weights=False)
        return self.last(self.norm(x + made).flatten(1))


def quick_gelu(x: Tensor) -> Tensor:
    """GELU as Enformer has it."""
    return torch.sigmoid(1.702 * x) * x


class QuickGELU(nn.Module):
    """GELU as Enformer has it."""

    def forward(self, x: Tensor) -> Tensor:
        """Of any shape."""
        return quick_gelu(x)


class _AttentionPool(nn.Module):
    """Pairs of positions, weighted by a softmax of what their channels say."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.logits = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, L / 2]`."""
        pairs = x.reshape(x.shape[0], x.shape[1], x.shape[2] // 2, 2)
        return (pairs * self.logits(pairs).softmax(dim=-1)).sum(dim=-1)


def shifted(x: Tensor) -> Tensor:
    """Scores by distance, `[B, H, n, 2n - 1]`, as scores by position, `[B, H, n, n]`."""
    wide = torch.cat([torch.zeros_like(x[..., :1]), x], dim=-1)
    _, heads, rows, columns = wide.shape
    wide = wide.reshape(-1, heads, columns, rows)[:, :, 1:, :]
    wide = wide.reshape(-1, heads, rows, columns - 1)
    return wide[..., : columns // 2]


class RelativeAttention(nn.Module):
    """Attention by content and by distance (Dai et al. 2019), with Enformer's features of distances."""

    def __init__(self, width: int, heads: int = 2, keys: int = 4) -> None:
        super().__init__()
        self.heads, self.keys, self.features = heads, keys, 6
        self.query, self.key, self.value = (nn.Linear(width, heads * keys, bias=False) for _ in range(3))
        self.out = nn.Linear(heads * keys, width)
        self.by_distance = nn.Linear(self.features, heads * keys, bias=False)
        self.content_bias = nn.Parameter(torch.zeros(1, heads, 1, keys))
        self.distance_bias = nn.Parameter(torch.zeros(1, heads, 1, keys))

    def _distances(self, n: int, like: Tensor) -> Tensor:
        """Features of every distance, `[2n - 1, features]`: they fall with it, and know its sign."""
        places = torch.arange(-n + 1, n, device=like.device)
        lives = 2.0 ** torch.linspace(1, 4, self.features // 2, device=like.device)
        fallen = torch.exp(-math.log(2.0) / lives * places.abs()[:, None])
        return torch.cat([fallen, torch.sign(places)[:, None] * fallen], dim=-1).to(like.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, n, width]`, as it came in."""
        count, n, _ = x.shape

        def split(y: Tensor) -> Tensor:
            return y.reshape(count, n, self.heads, self.keys).permute(0, 2, 1, 3)

        q, k, v = split(self.query(x)) * self.keys**-0.5, split(self.key(x)), split(self.value(x))
        content = torch.einsum("bhid,bhjd->bhij", q + self.content_bias, k)
        far = self.by_distance(self._distances(n, x)).reshape(2 * n - 1, self.heads, self.keys).permute(1, 0, 2)
        distance = shifted(torch.einsum("bhid,hjd->bhij", q + self.distance_bias, far))
        made = torch.einsum("bhij,bhjd->bhid", (content + distance).softmax(dim=-1), v)
        return self.out(made.permute(0, 2, 1, 3).reshape(count, n, -1))


class Enformer(nn.Module):
    """Enformer (Avsec et al. 2021), of `[B, L, 4]`: a tower with attention pools, attention by distance, two heads."""

    def __init__(self, width: int = 8, crop: int = 4) -> None:
        super().__init__()
        self.crop = crop
        self.stem = nn.Conv1d(4, width, 9, padding=4)
        self.mixers = nn.ModuleList(self._block(width, 1) for _ in range(3))
        self.tower = nn.ModuleList(self._block(width, 5) for _ in range(2))
        self.pools = nn.ModuleList(_AttentionPool(width) for _ in range(3))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))
        self.attention = nn.ModuleList(RelativeAttention(width) for _ in range(2))
        self.feedforward = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 12), nn.Dropout(0.1), nn.ReLU(), nn.Linear(12, width)) for _ in range(2)
        )
        self.last = self._block(width, 1)
        self.heads = nn.ModuleDict(
            {name: nn.Sequential(nn.Linear(width, n), nn.Softplus()) for name, n in (("human", 3), ("mouse", 2))}
        )

    @staticmethod
    def _block(channels: int, width: int) -> nn.Module:
        convolution = nn.Conv1d(channels, channels, width, padding=width // 2)
        return nn.Sequential(nn.BatchNorm1d(channels), QuickGELU(), convolution)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tracks of two species, `[B, L / 8 - 2 * crop, n]`."""
        x = self.stem(x.permute(0, 2, 1))
        for number, (mixer, pool) in enumerate(zip(self.mixers, self.pools, strict=True)):
            x = x if number == 0 else self.tower[number - 1](x)
            x = pool(x + mixer(x))
        x = x.permute(0, 2, 1)
        norms = iter(self.norms)
        for attention, feedforward in zip(self.attention, self.feedforward, strict=True):
            x = x + attention(next(norms)(x))
            x = x + feedforward(next(norms)(x))
        x = x[:, self.crop : -self.crop].transpose(1, 2)
        x = quick_gelu(self.last(x)).transpose(1, 2)
        return self.heads["human"](x), self.heads["mouse"](x)


class TokenTransformer(nn.Module):
    """Tokens with rotated positions (Su et al. 2021), RMS norms and gated layers, as in language models of DNA."""

    def __init__(self, tokens: int = 6, width: int = 8, length: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.norms = nn.ModuleList(nn.RMSNorm(width) for _ in range(3))
        self.joint, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.gate, self.up, self.down = nn.Linear(width, 10), nn.Linear(width, 10), nn.Linear(10, width)
        self.last = nn.Linear(width, tokens)
        angles = torch.arange(length)[:, None] / 100.0 ** (torch.arange(2) / 2)
        self.register_buffer("cosines_fixed", torch.cat([angles.cos()] * 2, dim=-1))
        self.register_buffer("sines_fixed", torch.cat([angles.sin()] * 2, dim=-1))

    def _turned(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=-1)
        return x * self.cosines_fixed + torch.cat([-second, first], dim=-1) * self.sines_fixed

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits `[B, L, tokens]`."""
        x = self.embedding(tokens)
        count, length, width = x.shape
        joint = self.joint(self.norms[0](x)).view(count, length, 3, 2, width // 2)
        q, k, v = joint.permute(2, 0, 3, 1, 4).unbind(0)
        made = functional.scaled_dot_product_attention(self._turned(q), self._turned(k), v)
        x = x + self.out(made.transpose(1, 2).reshape(count, length, width))
        y = self.norms[1](x)
        x = x + self.down(functional.silu(self.gate(y)) * self.up(y))
        return self.last(self.norms[2](x))
