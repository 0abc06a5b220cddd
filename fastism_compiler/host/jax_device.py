"""JAX as a runtime: its first device. JAX is imported when a program asks for it, and no earlier."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fastism_compiler.genomics.extras import missing_extra


def jax_library() -> Any:
    """The module `jax`.

    Raises:
        OptionError: it is not installed.
    """
    try:
        return import_module("jax")
    except ImportError as error:
        raise missing_extra("runtime='jax'", "jax", "jax") from error


def jax_device() -> Any:
    """The device that JAX takes first.

    Raises:
        OptionError: JAX is not installed.
    """
    return jax_library().devices()[0]


def is_gpu(device: Any) -> bool:
    """Whether a device of JAX is a GPU."""
    return bool(device.platform != "cpu")


def memory_of(device: Any) -> list[int]:
    """What JAX takes of the memory of its device, in bytes; nothing where it does not say, as of a CPU."""
    limit = (device.memory_stats() or {}).get("bytes_limit")
    return [] if limit is None else [int(limit)]
