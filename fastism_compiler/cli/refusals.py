"""What a command says where the library refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

import fastism_compiler as fc


@contextmanager
def refusals() -> Iterator[None]:
    """End the command with the message of a refusal instead of a traceback."""
    try:
        yield
    except fc.FastISMError as error:
        raise click.ClickException(str(error)) from error
