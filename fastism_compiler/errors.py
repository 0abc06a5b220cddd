"""Errors outside the passes and the IR: inputs, models, layer names, files, memory, wrong results."""

from __future__ import annotations

from fastism_compiler.ir.errors import FastISMError


class InputError(FastISMError, ValueError):
    """Model inputs of a wrong number, rank, length, channel count or content."""


class InputTypeError(FastISMError, TypeError):
    """Model inputs of a kind or dtype that cannot be read as a sequence."""


class ReplacementError(FastISMError, ValueError):
    """A replacement whose shape or letters do not fit the change ranges."""


class LayerNameError(FastISMError, ValueError):
    """A layer name that the model does not have."""


class ModelError(FastISMError, TypeError):
    """Something that is not a model this package can read."""


class UnsupportedError(FastISMError, NotImplementedError):
    """A model construct that is refused by name, never silently approximated."""


class ArtifactError(FastISMError, ValueError):
    """An exported program that is missing, damaged, of a newer format, or that cannot be written."""


class MemoryBudgetError(FastISMError, ValueError):
    """A memory budget below the smallest working set, or a device without the memory that is planned for."""


class VerificationError(FastISMError, ValueError):
    """The compiled program and naive ISM disagree beyond rounding."""


def first_line(error: BaseException, most: int = 200) -> str:
    """The first line of the message of an error of another library; its class name if there is no message."""
    lines = str(error).strip().splitlines()
    return lines[0][:most] if lines else type(error).__name__
