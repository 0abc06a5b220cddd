"""The model: motifs along the sequence, their profile, and how much of each there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Motifs:
    """A convolution, a relu, and a product with the sum over positions.

    Attributes:
        kernel: `[k, C, F]`.
        head: `[F, N]`.
        length: positions of the sequence.
    """

    kernel: Any
    head: Any
    length: int

    @staticmethod
    def random(length: int = 17, taps: int = 4, filters: int = 5) -> Motifs:
        rng = np.random.default_rng(0)
        draw = [rng.standard_normal(shape).astype("float32") for shape in ((taps, 4, filters), (filters, 2))]
        return Motifs(*draw, length)

    def __call__(self, x: Any) -> dict[str, Any]:
        taps = len(self.kernel)
        windows = np.stack([x[:, t : self.length - taps + 1 + t] for t in range(taps)])
        profile = np.maximum(np.einsum("tblc,tcf->blf", windows, self.kernel), 0)
        return {"profile": profile, "amount": profile.sum(axis=1) @ self.head}
