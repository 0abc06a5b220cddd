"""Which positions, letters and sequences a call is about is data: no call compiles what another one has compiled."""

from __future__ import annotations

import os
import subprocess
import sys

import keras
from fastism_compiler.ir import Section

import fastism_compiler as fc

SCRIPT = """
import sys
import numpy as np
import fastism_compiler as fc
from fastism_compiler.models.randomize import randomize
from tests.graphs import GRAPHS
from tests.runtime.test_compilations import dense_over_positions

for name in sys.argv[1:]:
    print("MODEL", name, file=sys.stderr, flush=True)
    model = randomize({**GRAPHS, "dense over positions": dense_over_positions}[name]())
    length = model.inputs[0].shape[1]
    x = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (2, length))]
    program = fc.compile(model, batch_size=2, verify=False)
    program.saturate(x)
    print("SATURATED", file=sys.stderr, flush=True)
    program(x)
    program(x, delta=True)
    program.saturate(x[::-1].copy(), delta=True)
    for positions in ([0], [3, 1], [length - 1, 2, 5]):
        program.variants(x, [(k % 2, p, "A") for k, p in enumerate(positions)])
"""


def dense_over_positions() -> keras.Model:
    """A flattened window meets a slice of the kernel that begins elsewhere for other positions."""
    x = inputs = keras.Input((300, 4))
    x = keras.layers.MaxPooling1D(2)(keras.layers.Conv1D(8, 5, activation="relu")(x))
    return keras.Model(inputs, keras.layers.Dense(64)(keras.layers.Flatten()(x)))


def test_the_dense_kernel_is_read_in_slices() -> None:
    program = fc.compile(dense_over_positions(), batch_size=2, jit=False, verify=False)
    (dense,) = (n for n in program.graph.nodes(Section.TILE) if n.facts.kernel == "kernel-rows")
    rows, kernel = dense.operands
    assert not rows.carrier.spans(kernel.type.extent(0))


def test_calls_share_what_is_compiled() -> None:
    """XLA's own log tells; where a slice of a kernel begins was once a constant of the program."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0", "TF_CPP_VMODULE": "device_compiler=1"}
    names = ["dense over positions", "recurrent", "global_pools", "attention"]
    command = [sys.executable, "-c", SCRIPT, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=600)
    line = "Compilation of XLA executable"
    for name, log in zip(names, done.stderr.split("MODEL ")[1:], strict=True):
        assert log.startswith(name)
        before, after = log.split("SATURATED")
        assert before.count(line) == 2, "a reference pass, and a loop over tiles"
        assert after.count(line) == 0
