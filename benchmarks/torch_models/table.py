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


_THRESHOLD = "no rule for `nn.Threshold` that puts in another number than 0"
_PROJECTED = {
    "dynamo": "writes an LSTM whose weights do not fit together; ONNX Runtime does not load it",
    "script": "no rule for an LSTM that projects its states",
}
_SPECTRAL = {"script": "no rule for `torch.vdot`, with which `spectral_norm` computes"}
_UNEVEN = "adaptive pools must be of one size"

MODELS: dict[str, Model] = {
    # profiles
    "bpnet": Model("profiles", "BPNet", (4, 120), positions=6),
    "bpnet_control": Model("profiles", "BPNet", (4, 120), {"controls": 2}, others=((2, 120),), positions=6),
    "chrombpnet": Model("profiles", "ChromBPNet", (4, 160), every=True),
    "spliceai": Model("profiles", "SpliceAI", (4, 140), positions=6),
    "pangolin": Model("profiles", "Pangolin", (4, 140), positions=6),
    "openspliceai": Model("profiles", "OpenSpliceAI", (4, 140), positions=6),
    "unet": Model("profiles", "UNet", (4, 64), positions=6),
    "unet_nearest": Model("profiles", "UNet", (4, 64), {"transposed": False}, positions=6),
    # convolutions, then dense layers
    "basset": Model("convolutional", "Basset", (4, 150), every=True),
    "deepsea": Model("convolutional", "DeepSEA", (4, 1, 150), every=True),
    "deepsea_threshold": Model(
        "convolutional", "DeepSEA", (4, 1, 150), {"threshold": True}, refused={"script": _THRESHOLD}
    ),
    "beluga": Model("convolutional", "Beluga", (4, 1, 300)),
    "sei": Model("convolutional", "Sei", (4, 160)),
    "malinois": Model("convolutional", "Malinois", (4, 150), every=True),
    "legnet": Model("convolutional", "LegNet", (4, 80)),
    "deepstarr": Model("convolutional", "DeepSTARR", (4, 120)),
    "resnet": Model("convolutional", "ResNet", (4, 128)),
    "explainn": Model("convolutional", "ExplaiNN", (4, 108)),
    "protein": Model("convolutional", "ProteinCNN", (60,), tokens=21),
    # recurrences and attention
    "danq": Model("sequential", "DanQ", (4, 120)),
    "danq_steps_first": Model("sequential", "DanQ", (4, 120), {"batch_first": False}),
    "lstm_projected": Model("sequential", "DanQ", (4, 120), {"projected": 3}, refused=_PROJECTED),
    "gru": Model("sequential", "RecurrentStack", (4, 100)),
    "encoder": Model("sequential", "Encoder", (4, 80)),
    "encoder_steps_first": Model("sequential", "Encoder", (4, 80), {"batch_first": False}),
    "attention": Model("sequential", "SelfAttention", (4, 80)),
    "enformer": Model("sequential", "Enformer", (128, 4), letters=2),
    "tokens": Model(
        "sequential", "TokenTransformer", (32,), tokens=6, positions=6, refused={"script": "no rule for `nn.RMSNorm`"}
    ),
    # single features
    "letters_last": Model("pieces", "LettersLast", (90, 4), letters=2),
    "groups": Model("pieces", "Groups", (4, 60), positions=6),
    "activations": Model("pieces", "Activations", (4, 60)),
    "weight_norm": Model("pieces", "Parametrized", (4, 80)),
    "spectral_norm": Model("pieces", "Parametrized", (4, 80), {"spectral": True}, refused=_SPECTRAL),
    "adaptive_pool": Model("pieces", "AdaptivePools", (4, 60)),
    "adaptive_max_pool": Model("pieces", "AdaptivePools", (4, 60), {"maximum": True}),
    "adaptive_uneven": Model("pieces", "AdaptivePools", (4, 60), {"positions": 7}, refused={"script": _UNEVEN}),
    "adaptive_max_uneven": Model(
        "pieces",
        "AdaptivePools",
        (4, 60),
        {"maximum": True, "positions": 7},
        refused={"dynamo": "no rule for `nn.AdaptiveMaxPool1d`, unless pools are of one size", "script": _UNEVEN},
    ),
    "one_task": Model("pieces", "OneTask", (4, 80), every=True),
    "one_sequence": Model("convolutional", "DeepSTARR", (4, 120), batch=1),
    "one_danq": Model("sequential", "DanQ", (4, 120), batch=1),
    "one_encoder": Model("sequential", "Encoder", (4, 80), batch=1),
    "both_strands": Model("pieces", "BothStrands", (4, 60), positions=6),
    "convnext": Model("pieces", "ConvNeXt", (4, 96)),
}
"""Name -> model. `tests/frontend/onnx/test_torch_models.py` compiles every one of them."""
