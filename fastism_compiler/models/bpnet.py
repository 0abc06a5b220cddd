"""BPNet: dilated residual towers with a profile and a counts head."""

from __future__ import annotations

from typing import Any

import keras

from fastism_compiler.models.randomize import randomize
from fastism_compiler.models.sizes import checked_sizes

L = keras.layers


@checked_sizes
def bpnet(length: int = 1000, filters: int = 64, dilated: int = 9, tasks: int = 1, seed: int = 0) -> Any:
    """BPNet (Avsec et al. 2021), as in the model zoo of kundajelab/fastISM.

    Args:
        length: sequence length.
        filters: channels of the tower.
        dilated: residual convolutions, dilation 1, 2, 4, ...
        tasks: each gives a profile `[length]` and a count `[1]`.
        seed: of the random weights.

    Returns:
        A model `[B, length, 4] -> [[B, length], [B, 1]] * tasks`.
    """
    inputs = L.Input((length, 4))
    x = L.Conv1D(filters, 25, padding="same", activation="relu")(inputs)
    for i in range(dilated):
        y = L.Conv1D(filters, 3, padding="same", activation="relu", dilation_rate=2**i)(x)
        x = L.Add()([y, x])
    outputs = []
    for _ in range(tasks):
        profile = L.Reshape((-1, 1, filters))(x)
        profile = L.Conv2DTranspose(1, (25, 1), padding="same")(profile)
        outputs.append(L.Flatten()(profile))
        outputs.append(L.Dense(1)(L.GlobalAveragePooling1D()(x)))
    return randomize(keras.Model(inputs, outputs, name="bpnet"), seed)


@checked_sizes
def bpnet_control_tracks(
    length: int = 1346, filters: int = 64, dilated: int = 6, tasks: int = 1, profile: int = 1000, seed: int = 0
) -> Any:
    """BPNet with control tracks, after kundajelab/bpnet-refactor (`valid` convolutions, cropped residuals).

    Args:
        length: sequence length.
        filters: channels of the tower.
        dilated: residual convolutions, dilation 2, 4, 8, ...
        tasks: predicted tracks; each has a control profile and control counts.
        profile: length of the predicted profile.
        seed: of the random weights.

    Returns:
        A model of `[sequence [B, length, 4], control profile [B, profile,
        tasks], control counts [B, tasks]]` to `[[B, profile, tasks], [B, tasks]]`.
    """
    sequence = L.Input((length, 4), name="sequence")
    control_profile = L.Input((profile, tasks), name="control_profile")
    control_counts = L.Input((tasks,), name="control_counts")
    x = L.Conv1D(filters, 21, activation="relu", name="conv_1")(sequence)
    for i in range(1, dilated + 1):
        y = L.Conv1D(filters, 3, activation="relu", dilation_rate=2**i, name=f"dilated_{i}")(x)
        x = L.Add(name=f"add_{i}")([y, L.Cropping1D(2**i, name=f"crop_{i}")(x)])
    heads = L.Conv1D(tasks, 75, name="profile_conv")(x)
    excess = heads.shape[1] - profile
    heads = L.Cropping1D((excess // 2, excess - excess // 2), name="profile_crop")(heads)
    heads = L.Concatenate(name="profile_with_control")([heads, control_profile])
    heads = L.Conv1D(tasks, 1, name="profile")(heads)
    counts = L.Concatenate(name="counts_with_control")([L.GlobalAveragePooling1D()(x), control_counts])
    counts = L.Dense(tasks, name="counts")(counts)
    inputs = [sequence, control_profile, control_counts]
    return randomize(keras.Model(inputs, [heads, counts], name="bpnet_control_tracks"), seed)
