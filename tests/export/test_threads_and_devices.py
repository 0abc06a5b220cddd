"""One program from several threads; one program on several devices."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import fastism_compiler as fc
from fastism_compiler.emit.precision import strict_float32
from tests.export.programs import assert_same, compiled, inputs_of, tiny

ROOT = Path(__file__).parents[2]


def calls(program: fc.CompiledISM, batch: int) -> list[np.ndarray]:
    x = inputs_of(tiny(), batch, seed=batch)
    return [program(x), program.saturate(x, delta=True), program.variants(x, [(0, 2, "AC")]), program.reference(x)]


@pytest.mark.parametrize("loaded", [False, True], ids=["compiled", "loaded"])
def test_four_threads_get_the_numbers_of_one(loaded: bool, tmp_path: Path) -> None:
    program, other = compiled(tiny(), batch_size=2, jit=False), compiled(tiny(), batch_size=2, jit=False)
    if loaded:
        program.export(tmp_path / "program")
        program, other = fc.load(tmp_path / "program"), fc.load(tmp_path / "program")
    batches = [1, 2, 3, 5]
    alone = [calls(other, batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:  # nothing has been traced yet: the first calls race for it
        together = list(pool.map(lambda batch: calls(program, batch), batches * 2))
    for ours, theirs in zip(together, alone * 2, strict=True):
        for y, z in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(y, z)


def test_tensorfloat_stays_off_until_the_last_thread_is_done() -> None:
    enabled = tf.config.experimental.tensor_float_32_execution_enabled
    before = enabled()
    tf.config.experimental.enable_tensor_float_32_execution(True)
    try:
        with strict_float32():
            with strict_float32():
                assert not enabled()
            assert not enabled()
        assert enabled()
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


DEVICES = """
import tempfile
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
import keras
import fastism_compiler as fc
from tests.export.programs import assert_same, compiled, inputs_of, model_named, tiny
names = ["CPU:0", "/device:CPU:1", "cpu:2"]
for model, jit in ((tiny(), True), (model_named("attention"), False)):
    alone, shared = compiled(model, jit=jit), compiled(model, jit=jit, devices=names)
    calls = (
        lambda p: p(x), lambda p: p.saturate(x, delta=True), lambda p: p.variants(x, [(len(x) - 1, 2, "AC")]),
    )
    for x in [inputs_of(model, 7)] if jit else [inputs_of(model, 1), inputs_of(model, 7)]:
        for call in calls[:1] if jit else calls:
            assert_same(keras.tree.flatten(call(shared)), keras.tree.flatten(call(alone)))
    used = {device for engine in shared.engines for device, _ in engine._by_device}
    assert used == {"CPU:0", "CPU:1", "CPU:2"}, used
    if jit:
        with tempfile.TemporaryDirectory() as folder:
            shared.export(folder + "/program")
            loaded = fc.load(folder + "/program")
        assert_same(keras.tree.flatten(loaded(x)), keras.tree.flatten(alone(x)))
    model.trainable_variables[0].assign(model.trainable_variables[0] * 2)
    assert_same(keras.tree.flatten(shared(x)), keras.tree.flatten(alone(x)))
print("same")
"""


def test_several_devices() -> None:
    """Three logical CPUs: they are set up once per process."""
    done = subprocess.run([sys.executable, "-c", DEVICES], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "same", done.stderr[-3000:]


def test_one_named_device() -> None:
    model = tiny()
    x = inputs_of(model, 3)
    assert_same([compiled(model, devices="CPU:0", jit=False)(x)], [compiled(model, jit=False)(x)])


@pytest.mark.parametrize("devices", [[], ["CPU:0", "/cpu:0"], ["TPU:9"], "GPU:7"])
def test_devices_that_are_not_there(devices: list[str] | str) -> None:
    with pytest.raises(fc.OptionError, match="CPU:0"):
        compiled(tiny(), devices=devices)
