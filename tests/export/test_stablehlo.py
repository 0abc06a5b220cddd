"""StableHLO: what lies in the folder, what JAX makes of it, and what is refused by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastism_compiler as fc
from tests.export.programs import compiled, inputs_of, model_named, tiny
from tests.oracle import assert_close

L = keras.layers


def run_with_jax(folder: Path, inputs: dict[str, Any], functions: dict[str, dict[str, Any]]) -> dict[str, list[Any]]:
    """Results of the runner beside the modules, in a process that can import neither TensorFlow nor this package."""
    np.savez(folder.parent / "inputs.npz", **inputs)
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('tensorflow', 'keras', 'fastism_compiler')))\n"
        "import numpy as np\n"
        "from run_with_jax import Program\n"
        "program, inputs = Program('.'), dict(np.load('../inputs.npz'))\n"
        f"for name, extra in {functions!r}.items():\n"
        "    extra = {k: np.asarray(v, inputs['x'].dtype) for k, v in extra.items()}\n"
        "    np.savez(f'../{name}.npz', *program(name, **inputs, **extra).values())\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder, capture_output=True)
    return {name: list(np.load(folder.parent / f"{name}.npz").values()) for name in functions}


@pytest.mark.parametrize("name", ["other_inputs_meet_first", "tokens_embedded", "attention"])
def test_in_jax(name: str, tmp_path: Path) -> None:
    model = model_named(name)
    program = compiled(model, jit=name == "attention")
    manifest = program.export(tmp_path / "modules", "stablehlo", batch_size=2)
    assert manifest.batch_size == 2
    x = inputs_of(model, 3)
    inputs = {t.name: a for t, a in zip(manifest.inputs, program.inputs.read(x), strict=True)}
    replacement = [1] if name.startswith("tokens") else [[0.25, 0, 0.5, 0.25]]
    functions: dict[str, dict[str, Any]] = {"scan": {"replacement": replacement}, "saturate": {}, "reference": {}}
    got = run_with_jax(tmp_path / "modules", inputs, functions)
    assert_close(got["scan"], keras.tree.flatten(program(x, np.array(replacement))))
    assert_close(got["saturate"], keras.tree.flatten(program.saturate(x)))
    assert_close(got["reference"], keras.tree.flatten(program.reference(x)))


def test_what_lies_in_the_folder(tmp_path: Path) -> None:
    program = compiled(tiny(), ranges=[(0, 3), (5, 8)])
    manifest = program.export(tmp_path / "modules", "stablehlo")
    names = {p.name for p in (tmp_path / "modules").iterdir()}
    assert names == {"scan.mlir", "reference.mlir", "weights.npz", "manifest.json", "run_with_jax.py"}
    body = json.loads((tmp_path / "modules" / "manifest.json").read_text())
    assert set(body["files"]) == names - {"manifest.json"}
    scan = body["details"]["modules"]["scan"]
    assert [(p["name"], p["shape"]) for p in scan["inputs"]] == [("x", [1, 21, 4]), ("replacement", [3, 4])]
    weights = np.load(tmp_path / "modules" / "weights.npz", allow_pickle=False)
    assert len(scan["weights"]) == len(weights.files) == 10
    text = (tmp_path / "modules" / "scan.mlir").read_text()
    assert "loc(" not in text, "source locations name files on the machine that exported"
    assert str(Path(sys.prefix)) not in text
    assert manifest.functions == ("scan", "reference")


class Spelled(keras.layers.Layer):
    """Something XLA has no kernel for."""

    def call(self, x: Any) -> Any:
        text = tf.strings.as_string(tf.reduce_sum(x, axis=[1, 2]))
        return tf.strings.to_number(text)[:, None]

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], 1)


class Hoards(keras.layers.Layer):
    """Keeps a variable that Keras does not know."""

    def build(self, shape: Any) -> None:
        self.secret = [tf.Variable(2.0)]

    def call(self, x: Any) -> Any:
        return tf.raw_ops.Mul(x=x, y=self.secret[0])


@pytest.mark.parametrize(("layer", "message"), [(Spelled, "XLA cannot compile"), (Hoards, "Keras variables")])
def test_layers_that_cannot_leave_are_named(layer: Any, message: str, tmp_path: Path) -> None:
    inputs = keras.Input((9, 4))
    x = layer(name="odd_one")(L.Conv1D(2, 3)(inputs))
    program = compiled(keras.Model(inputs, L.Dense(1)(L.Flatten()(x))), jit=False)
    with pytest.raises(fc.UnsupportedError, match=message) as caught:
        program.export(tmp_path / "modules", "stablehlo")
    assert "odd_one" in str(caught.value)
    assert "savedmodel" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_masks_of_many_booleans(tmp_path: Path) -> None:
    """TensorFlow prints them eight to a byte, which JAX does not read."""
    mask = (np.arange(124) % 3 == 0)[None, :, None]
    x = keras.Input((124, 4))
    h = keras.ops.where(mask, L.Conv1D(2, 3, padding="same")(x), 0.5)
    program = fc.compile(keras.Model(x, L.GlobalAveragePooling1D()(h)), ranges=[(0, 2), (60, 64)])
    program.export(tmp_path / "ism", "stablehlo")
    given = np.random.default_rng(0).random((1, 124, 4)).astype(np.float32)
    theirs = run_with_jax(tmp_path / "ism", {"x": given}, {"reference": {}})["reference"]
    assert_close(theirs, [program.reference(given)])
