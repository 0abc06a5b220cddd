"""Model files for the tests of the loader: small honest ones, and the same ones changed by hand."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import tf_keras

from fastism_compiler.archives import ALWAYS_ALLOWED

Config = dict[str, Any]
L, K = keras.layers, tf_keras.layers


def keras3(path: Path) -> Path:
    """Conv, Activation, Dense; the same layers in each file."""
    x = inputs = keras.Input((20, 4), name="seq")
    x = L.Activation("relu", name="act")(L.Conv1D(3, 3, name="conv")(x))
    keras.Model(inputs, L.Dense(2, name="head")(L.GlobalMaxPooling1D(name="pool")(x))).save(path)
    return path


def keras2(path: Path) -> Path:
    x = inputs = tf_keras.Input((20, 4), name="seq")
    x = K.Activation("relu", name="act")(K.Conv1D(3, 3, name="conv")(x))
    tf_keras.Model(inputs, K.Dense(2, name="head")(K.GlobalMaxPooling1D(name="pool")(x))).save(path)
    return path


def changed(path: Path, change: Callable[[Config], None]) -> Path:
    """Change the configuration in a model file."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        config = json.loads(parts["config.json"])
        change(config)
        parts["config.json"] = json.dumps(config).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
    else:
        with h5py.File(path, "r+") as file:
            text = file.attrs["model_config"]
            config = json.loads(text)
            change(config)
            file.attrs["model_config"] = json.dumps(config)
    return path


def layer(config: Config, name: str) -> Config:
    """The entry of a layer, by its name."""
    return next(entry for entry in config["config"]["layers"] if entry["config"]["name"] == name)


def bomb(path: Path) -> Path:
    """Say in the directory of an archive that a file in it is larger than any archive may unpack to."""
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = (ALWAYS_ALLOWED + 1).to_bytes(4, "little")
    path.write_bytes(content)
    return path
