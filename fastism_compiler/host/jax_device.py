"""JAX as a runtime: its first device. JAX is imported when a program asks for it, and no earlier."""

from __future__ import annotations

from typing import Any

from fastism_compiler.extras import library
from fastism_compiler.ir.errors import OptionError


def jax_library() -> Any:
    """The module `jax`.

    Raises:
        OptionError: it is not installed.
    """
    return library("jax", "runtime='jax'", "jax", "jax")


def jax_device() -> Any:
    """The device that JAX takes first.

    Raises:
        OptionError: JAX is not installed, or has no CPU or GPU.
    """
    try:
        device = jax_library().devices()[0]
    except RuntimeError as error:
        raise OptionError("JAX finds no device", expected=_ELSE, got=str(error).partition("\n")[0]) from error
    if device.platform not in ("cpu", *_GPUS):
        raise OptionError("programs run on CPUs and GPUs", expected=_ELSE, got=str(device))
    return device


_GPUS = ("gpu", "cuda", "rocm")
_ELSE = "JAX_PLATFORMS=cpu or cuda, or runtime='tensorflow'"


def is_gpu(device: Any) -> bool:
    """Whether a device of JAX is a GPU."""
    return device.platform in _GPUS


def memory_of(device: Any) -> list[int]:
    """What JAX has left of the memory of its device, in bytes; nothing where it does not say, as of a CPU."""
    stats = device.memory_stats() or {}
    return [int(stats["bytes_limit"] - stats.get("bytes_in_use", 0))] if "bytes_limit" in stats else []
