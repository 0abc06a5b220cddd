"""The compilation cache: on request, in a process of its own, since TensorFlow reads its flag once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import fastism_compiler as fc

ROOT = Path(__file__).parent.parent.parent
CODE = """
import sys
import keras
import tensorflow
import fastism_compiler as fc
fc.use_compilation_cache(sys.argv[1])
import numpy as np
x = keras.Input((12, 4))
model = keras.Model(x, keras.layers.Conv1D(2, 3)(x))
pipeline = fc.default_pipeline().remove("choose-program")  # which would leave this model to Keras
fc.compile(model, verify=False, pipeline=pipeline)(np.eye(4, dtype=np.float32)[[[0, 1, 2, 3] * 3]])
"""


def test_compiled_programs_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cache"
    subprocess.run([sys.executable, "-c", CODE, str(folder)], cwd=ROOT, check=True, capture_output=True)
    first = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert first
    subprocess.run([sys.executable, "-c", CODE, str(folder)], cwd=ROOT, check=True, capture_output=True)
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == first, "compiled again"


def test_it_is_too_late_once_tensorflow_has_run(tmp_path: Path) -> None:
    import tensorflow as tf

    tf.zeros(1)
    with pytest.raises(fc.OptionError, match="before TensorFlow runs anything"):
        fc.use_compilation_cache(tmp_path)
