"""The models by name, as data: what each takes, and which exports of it do not exist. No PyTorch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Model:
    """One model.

    Attributes:
        module: the file of this folder that it is written in.
        network: its class.
        shape: of its sequence, without the batch.
        options: arguments of the class.
        others: shapes of its further inputs.
        letters: the axis of letters, counted with the batch.
        tokens: how many there are, where the sequence is made of tokens.
        batch: the number of sequences that it is exported with; None: any.
        positions: how many positions every replacement is recorded at.
        every: zeros are recorded at every position.
        refused: exporter -> why it refuses the model.
    """

    module: str
    network: str
    shape: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[tuple[int, ...], ...] = ()
    letters: int = 1
    tokens: int = 0
    batch: int | None = None
    positions: int = 12
    every: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def positions_axis(self) -> int:
        """The axis of positions, counted with the batch."""
        return 1 if self.tokens else next(i for i, n in enumerate(self.shape, 1) if n == self.length)

    @property
    def length(self) -> int:
        """Positions."""
        return max(self.shape)


MODELS: dict[str, Model] = {
    # profiles
    "bpnet": Model("profiles", "BPNet", (4, 120), positions=6),
    "bpnet_control": Model("profiles", "BPNet", (4, 120), {"controls": 2}, others=((2, 120),), positions=6),
    "chrombpnet": Model("profiles", "ChromBPNet", (4, 160), every=True),
    "basset": Model("convolutional", "Basset", (4, 150), every=True),
    "deepsea": Model("convolutional", "DeepSEA", (4, 1, 150), every=True),
}
"""Name -> model. `tests/frontend/onnx/test_torch_models.py` compiles every one of them."""
