"""Runtimes by name: what compiles and runs programs."""

from __future__ import annotations

from fastism_compiler.host.hardware import runs_on_gpu
from fastism_compiler.host.jax_device import jax_device
from fastism_compiler.host.onnx_device import onnx_device
from fastism_compiler.host.runtimes import AUTO, RUNTIMES
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.runtime.foreign_engine import Runtime
from fastism_compiler.runtime.jax_runtime import JaxRuntime


def runtime_named(name: str) -> Runtime | None:
    """The runtime of a name; None: TensorFlow itself.

    Args:
        name: one of `RUNTIMES`; `"auto"`: the first of the others that has a GPU, TensorFlow where none has.

    Raises:
        OptionError: no such runtime, one that is not installed, or one without a CPU or GPU.
    """
    if not isinstance(name, str) or name not in RUNTIMES:
        raise OptionError("no such runtime", expected=f"one of {list(RUNTIMES)}", got=repr(name))
    if name == "jax":
        return JaxRuntime(jax_device())
    if name == "onnxruntime":
        return _onnx_runtime()
    return _with_a_gpu() if name == AUTO and not runs_on_gpu() else None


def name_of(runtime: Runtime | None) -> str:
    """The name of a runtime."""
    if runtime is None:
        return RUNTIMES[0]
    return "jax" if isinstance(runtime, JaxRuntime) else "onnxruntime"


def _with_a_gpu() -> Runtime | None:
    """The first runtime beside TensorFlow that is installed and has a GPU."""
    for other in RUNTIMES[1:3]:
        try:
            runtime = runtime_named(other)
        except OptionError:  # not installed, or no device
            continue
        if runtime is not None and runtime.gpu:
            return runtime
    return None


def _onnx_runtime() -> Runtime:
    device = onnx_device()
    from fastism_compiler.runtime.onnx_runtime import OnnxRuntime  # late: the converter takes a second to load

    return OnnxRuntime(device)
