"""What this process has to run on: cores, GPUs, and the memory that is free."""

from __future__ import annotations

import os
import platform

_MOST_LANES = 8
"""Most lanes by default, however many cores there are."""


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_lanes() -> int:
    """One lane for each thread that TensorFlow uses on the CPU, up to 8; one where programs run on a GPU."""
    # TensorFlow is imported late: counting cores and free memory does not need it
    import tensorflow as tf

    if runs_on_gpu():
        return 1
    cores = usable_cores()
    return min(tf.config.threading.get_intra_op_parallelism_threads() or cores, cores, _MOST_LANES)


def runs_on_gpu() -> bool:
    """Whether TensorFlow would place a program on a GPU."""
    # TensorFlow is imported late: counting cores and free memory does not need it
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def gpu_memory() -> list[int]:
    """What TensorFlow takes of the memory of each GPU, in bytes; nothing where there is none."""
    if not runs_on_gpu():
        return []
    from tensorflow.python.client import device_lib  # late: with TensorFlow

    return [int(d.memory_limit) for d in device_lib.list_local_devices() if d.device_type == "GPU"]


def free_memory() -> int:
    """Memory available to new programs, in bytes (4 GiB where the system does not say)."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 4 << 30


def processor() -> str:
    """The processor programs run on: the first GPU's name, else the CPU's, with its number of cores."""
    # TensorFlow is imported late: counting cores and free memory does not need it
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU"))
    return f"{_cpu_name()} x{os.cpu_count()}"


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
