"""Exit codes: 0 done, 1 a run or verification failed, 2 a wrong command, file or setting."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

import fastism_compiler as fc
from fastism_compiler.ir.errors import FastISMError

RUN_FAILED, BAD_INPUT = 1, 2
_FAILED = (fc.RunError, fc.VerificationError, fc.MemoryBudgetError, fc.PassError, fc.IRError)


@contextmanager
def explained() -> Iterator[None]:
    """End the command with a message, and the exit code that fits, where this package refuses something."""
    try:
        yield
    except FastISMError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(RUN_FAILED if isinstance(error, _FAILED) else BAD_INPUT)
    except KeyboardInterrupt:
        click.echo("Stopped. What is finished is kept; the same command goes on from there.", err=True)
        sys.exit(130)
