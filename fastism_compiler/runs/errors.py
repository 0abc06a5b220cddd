"""What can go wrong with a run besides its input."""

from __future__ import annotations

from fastism_compiler.ir.errors import FastISMError


class StoreError(FastISMError, ValueError):
    """An output that cannot be used: another run's, of other settings, incomplete, or no store at all."""


class RunError(FastISMError, RuntimeError):
    """A run that could not go on: a full disk, or workers that keep dying. What is finished is kept."""


class DamagedError(StoreError):
    """A file of a store that is not as it was written.

    Attributes:
        fault: what is wrong with it.
    """

    fault: str
