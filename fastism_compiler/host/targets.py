"""Targets: the machine that a program is planned for, which need not be the one that compiles it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from fastism_compiler.host.hardware import runs_on_gpu
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.passes.cost.machine import ONE_GPU, TWO_CORES, Machine

Target = Literal["cpu", "gpu"] | Machine
_TARGETS = {"cpu": TWO_CORES, "gpu": ONE_GPU}


def machine_for(target: Target | None, devices: Sequence[str], here: bool = False) -> Machine:
    """The machine that programs are planned for: as named, else where they will run.

    Args:
        target: `"cpu"`, `"gpu"`, a machine, or None.
        devices: checked names; none: where TensorFlow runs the model.
        here: require the kind of machine (CPU or GPU) that programs will run on, as autotuning does.

    Raises:
        OptionError: no such target, or, with `here`, the other kind of machine.
    """
    on_gpu = any("GPU" in d for d in devices) or (not devices and runs_on_gpu())
    machine = target if isinstance(target, Machine) else _named(target, on_gpu)
    if here and machine.gpu != on_gpu:
        raise OptionError("autotune= times this machine, and target= is another", got=f"target={target!r}")
    return machine


def _named(target: str | None, on_gpu: bool) -> Machine:
    if target is None:
        target = "gpu" if on_gpu else "cpu"
    if not isinstance(target, str) or target not in _TARGETS:
        raise OptionError("no such target", expected=f"one of {list(_TARGETS)}, or a Machine", got=repr(target))
    return _TARGETS[target]
