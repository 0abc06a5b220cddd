"""JAX as a runtime: programs go there as StableHLO."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from fastism_compiler.emit.stablehlo import stablehlo_module
from fastism_compiler.emit.weights import with_weights
from fastism_compiler.errors import UnsupportedError, first_line
from fastism_compiler.frontend.source import SourceModel, Weight
from fastism_compiler.host.jax_device import is_gpu, jax_library, memory_of
from fastism_compiler.runtime.foreign_engine import Flat

_FLOAT64 = re.compile(r"[<x]f64>")


class JaxRuntime:
    """A device of JAX.

    Args:
        device: which.

    Attributes:
        name, where, gpu, memory, xla, lanes: as of every `Runtime`.
    """

    xla = lanes = True

    def __init__(self, device: Any) -> None:
        self._device = device
        self.name, self.where, self.gpu = "JAX", str(device), is_gpu(device)
        self._kept: dict[int, tuple[Any, Any]] = {}

    @property
    def memory(self) -> list[int]:
        return memory_of(self._device)

    def place(self, tensor: Any) -> Any:
        """A tensor of any library as an array of JAX, in its own dtype."""
        jax = jax_library()
        if isinstance(tensor, jax.Array):
            return tensor
        with jax.enable_x64(True):  # nothing is narrowed on the way
            return jax.device_put(np.asarray(tensor), self._device)

    def _placed_once(self, variable: Any) -> Any:
        """A variable that never changes: all modules share what is on the device."""
        if id(variable) not in self._kept:
            self._kept[id(variable)] = variable, self.place(variable.numpy())
        return self._kept[id(variable)][1]

    def compiled(
        self, run: Flat, specs: Sequence[tf.TensorSpec], weights: Sequence[Weight], source: SourceModel | None
    ) -> Flat:
        """A function compiled by JAX.

        Raises:
            UnsupportedError: an op that XLA does not know, or a program that JAX cannot compile.
        """
        text, variables = stablehlo_module(
            with_weights(run, source, weights), specs, weights, source, "compile with runtime='tensorflow'"
        )
        if _FLOAT64.search(text):
            raise UnsupportedError(
                "a program that computes in float64 does not run on JAX, as XLA's float64 code is wrong on CPUs",
                expected="a float32 model, or runtime='tensorflow'",
            )
        try:
            module = self._device.client.compile_and_load(text, [self._device])
        except RuntimeError as error:
            raise UnsupportedError(
                "JAX cannot compile the program",
                expected="another version of JAX or TensorFlow, or runtime='tensorflow'",
                got=first_line(error),
            ) from error

        kept = [self._placed_once(v) for v in variables]

        def call(*tensors: Any) -> list[Any]:
            results: list[Any] = module.execute([*tensors, *kept])
            return results

        return call
