"""`CompileOptions`: everything that `compile` can be told besides the model, checked in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from fastism_compiler.arguments import flag, or_none, whole
from fastism_compiler.errors import LayerNameError, UnsupportedError
from fastism_compiler.frontend.ensemble.models import Combine, check_combine
from fastism_compiler.frontend.source import ReadOptions
from fastism_compiler.host.runtimes import AUTO, RUNTIMES
from fastism_compiler.host.targets import Target, machine_for
from fastism_compiler.ir import Graph
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.mutations.inputs import check_length
from fastism_compiler.passes import Pipeline, default_pipeline
from fastism_compiler.passes.cost.machine import Machine
from fastism_compiler.planning.memory import Budget, parse_budget
from fastism_compiler.runtime.devices import check_devices
from fastism_compiler.runtime.foreign_engine import Runtime
from fastism_compiler.runtime.runtimes import name_of, runtime_named
from fastism_compiler.runtime.verification import EFFECT_SHARE

_MOST_SEQUENCES = 32
Outputs = str | int | Sequence[str | int] | Mapping[Any, Any]
_LARGEST_BLOCK = 1 << 16
"""Most sequences per block, however much memory there is: larger blocks are no faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileOptions:
    """The options of `fastism_compiler.compile`, which describes them.

    Raises:
        OptionError: one that no model could be compiled with.
    """

    seq_input: int | str = 0
    ranges: Sequence[tuple[int, int]] | None = None
    stop_at: str | Sequence[str] | None = None
    outputs: Outputs | None = None
    reduce: Callable[[Any], Any] | None = None
    length: int | None = None
    channels: Sequence[int] | None = None
    alphabet: str = "ACGT"
    batch_size: int | None = None
    memory_budget: int | str | None = None
    jit: bool = True
    precision: str = "float32"
    autotune: bool = False
    devices: str | Sequence[str] | None = None
    target: Target | None = None
    runtime: str = "tensorflow"
    verify: bool = True
    pipeline: Pipeline | None = None
    custom_objects: Mapping[str, Any] | None = None
    safe_mode: bool = True
    combine: Combine = "mean"

    def __post_init__(self) -> None:
        for name in ("jit", "autotune", "verify", "safe_mode"):
            flag(name, getattr(self, name))
        if not isinstance(self.precision, str) or self.precision not in EFFECT_SHARE:
            raise OptionError("no such precision", expected=f"one of {list(EFFECT_SHARE)}", got=repr(self.precision))
        self._check_runtime()
        or_none(partial(whole, least=1))("batch_size", self.batch_size)
        self._check_kinds()
        check_combine(self.combine)
        check_length(self.length)
        if self.memory_budget is not None:
            parse_budget(self.memory_budget)
        _ = self.machine  # refuses devices that are not here, and targets that do not exist

    def _check_runtime(self) -> None:
        runtime = self.foreign
        if runtime is None or not self._misfits(runtime):
            return
        raise OptionError(
            f"{runtime.name} compiles programs in its own way, for one device, by the cost model"
            + ("" if runtime.xla else ", in float32"),
            expected="no devices=, autotune= or jit=False beside runtime="
            + ("" if runtime.xla else ', and precision="float32"'),
            got=", ".join(f"{name}=" for name in self._misfits(runtime)),
        )

    def _misfits(self, runtime: Runtime) -> list[str]:
        """The options that do not go together with a runtime."""
        given = {
            "devices": self.devices is not None,
            "autotune": self.autotune,
            "jit": not self.jit,
            "precision": not runtime.xla and self.precision != "float32",
        }
        return [name for name in given if given[name]]

    def resolved(self, graph: Graph) -> CompileOptions:
        """The same with the runtime that `"auto"` stands for: one that goes with the other options, and the model."""
        if self.runtime != AUTO:
            return self
        found = replace(self, runtime=name_of(self.foreign))
        try:
            found.check_model(graph)
        except UnsupportedError:
            return replace(self, runtime=RUNTIMES[0])
        return found

    def _check_kinds(self) -> None:
        """Refuse wrong values here, before they fail somewhere else."""
        several = isinstance(self.stop_at, Sequence | Set) and not isinstance(self.stop_at, str)
        texts = list(self.stop_at or ()) if several else [self.stop_at]
        for name, right, expected in (
            ("outputs", _names_outputs(self.outputs), "a name or number, several, or a dict: output -> index"),
            ("reduce", self.reduce is None or callable(self.reduce), "a function of the outputs, or None"),
            ("stop_at", all(t is None or isinstance(t, str) for t in texts), "a layer name, or several"),
            ("alphabet", isinstance(self.alphabet, str) and _distinct(self.alphabet), "letters, each of them once"),
            ("channels", self.channels is None or _whole_numbers(self.channels), "whole numbers, or None"),
        ):
            if not right:
                raise OptionError(f"{name}= has a wrong value", expected=expected, got=repr(getattr(self, name)))

    @property
    def selected(self) -> Mapping[Any, Any] | None:
        """The outputs to return, with what to pick of each (None: all of it)."""
        if self.outputs is None or isinstance(self.outputs, Mapping):
            return self.outputs
        names = [self.outputs] if isinstance(self.outputs, str | int) else self.outputs
        for name in names:
            if list(names).count(name) > 1:
                raise OptionError("an output can be selected once", got=repr(name))
        return dict.fromkeys(names)

    def check_model(self, graph: Graph) -> None:
        """Check what depends on the model.

        Raises:
            LayerNameError: a `stop_at` that no output depends on.
            UnsupportedError: a lower precision for a float64 model; texts, or inputs and outputs in float8.
        """
        _check_dtypes(graph)
        known = {part for n in graph if n.layer for part in (n.layer, *n.layer.split("/"))}
        for name in sorted(self.stops - known):
            raise LayerNameError(
                "stop_at must name layers that the outputs depend on",
                expected=f"one of {sorted(known)}",
                got=repr(name),
            )
        if self.precision != "float32" and has_float64(graph):
            raise UnsupportedError(
                "a float64 model runs in float64",
                expected='precision="float32" (the default)',
                got=repr(self.precision),
            )
        runtime = self.foreign
        if runtime is not None and has_float64(graph):
            reason = "XLA's float64 code is wrong on CPUs" if runtime.xla else "it has no float64 convolutions"
            raise UnsupportedError(
                f"a float64 model does not run in {runtime.name}, as {reason}",
                expected="a float32 model, or runtime='tensorflow'",
            )

    @property
    def reading(self) -> ReadOptions:
        """What a frontend needs to know."""
        letters = len(self.alphabet) if self.channels is None else None
        return ReadOptions(self.seq_input, self.length, self.custom_objects, self.safe_mode, letters)

    @property
    def stops(self) -> frozenset[str]:
        """The layers from which on everything is recomputed."""
        return frozenset([self.stop_at] if isinstance(self.stop_at, str) else self.stop_at or ())

    @property
    def passes(self) -> Pipeline:
        """The passes to run."""
        return self.pipeline or default_pipeline()

    @property
    def most_sequences(self) -> int:
        """Most sequences per block."""
        return min(self.batch_size or _MOST_SEQUENCES, _LARGEST_BLOCK)

    @property
    def local_devices(self) -> tuple[str, ...]:
        """The devices that share a block; empty: the device where TensorFlow runs the model."""
        return check_devices(self.devices) if self.devices is not None else ()

    @property
    def machine(self) -> Machine:
        """What kernels and tiles are planned for."""
        devices, runtime = self.local_devices, self.foreign
        if runtime is not None:
            devices = ("GPU",) if runtime.gpu else ("CPU",)
        return machine_for(self.target, devices, here=self.autotune)

    @property
    def foreign(self) -> Runtime | None:
        """The library that runs programs; None: TensorFlow."""
        runtime = runtime_named(self.runtime)
        if self.runtime == AUTO and runtime is not None and self._misfits(runtime):
            return None
        return runtime

    @property
    def budget(self) -> Budget:
        """Memory that a block may take."""
        runtime = self.foreign
        return Budget.of(self.memory_budget, [] if runtime is None else runtime.memory)


def _names_outputs(outputs: Any) -> bool:
    several = isinstance(outputs, list | tuple)
    names = outputs if several else [outputs]
    known = all(isinstance(name, str | int) and not isinstance(name, bool) for name in names)
    return outputs is None or isinstance(outputs, Mapping) or known


def _distinct(letters: str) -> bool:
    return len(letters) > 0 and len(set(letters)) == len(letters)


def _whole_numbers(values: Any) -> bool:
    collection = isinstance(values, Sequence | Set) or (isinstance(values, np.ndarray) and values.ndim == 1)
    return collection and all(isinstance(n, int | np.integer) for n in values)


def _check_dtypes(graph: Graph) -> None:
    """Refuse texts anywhere, and float8 in inputs and outputs, which are numpy arrays of numbers."""
    ends = {*graph.inputs, *graph.outputs}
    for node in graph:
        dtype = node.type.dtype
        if dtype == "string" or (node in ends and dtype.startswith("float8")):
            raise UnsupportedError(
                "inputs and outputs of a model are numbers but no float8, and nothing in between is a text",
                expected="float16, bfloat16, float32, float64, integers or bool; cast float8 inside of the model",
                got=f"{node.layer or node.op!r}: {dtype}",
            )


def has_float64(graph: Graph) -> bool:
    """Whether anything is computed in float64, which XLA must be kept away from.

    On CPU (TensorFlow 2.21) a padded, strided convolution in float64 gave other
    numbers on every second call, and corrupted the heap; in float32 it did not.
    """
    return any(node.type.dtype == "float64" for node in graph)
