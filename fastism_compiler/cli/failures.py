"""Exit codes (0 done, 1 a run or verification failed, 2 a wrong command, file or setting, 130 stopped) and messages."""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

import fastism_compiler as fc
from fastism_compiler.genomics.fields import printable
from fastism_compiler.ir.errors import FastISMError

RUN_FAILED, BAD_INPUT, STOPPED = 1, 2, 130
DEBUG = "FASTISM_COMPILER_DEBUG"
_FAILED = (fc.RunError, fc.VerificationError, fc.MemoryBudgetError, fc.PassError, fc.IRError)
_LONGEST_LINE = 1000


class Commands(click.Group):
    """A group whose commands end with a message and an exit code, and with a traceback only under `--debug`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        with explained(debug=bool(ctx.params.get("debug"))):
            return super().invoke(ctx)


@contextmanager
def explained(debug: bool = False) -> Iterator[None]:
    """End the command with a message, and the exit code that fits, whatever went wrong.

    Args:
        debug: print the traceback first.
    """
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except KeyboardInterrupt:
        _end("Stopped. What is finished is kept; the same command goes on from there.", STOPPED, debug)
    except FastISMError as error:
        _end(f"Error: {error}", RUN_FAILED if isinstance(error, _FAILED) else BAD_INPUT, debug)
    except MemoryError as error:
        _end(f"Error: memory is used up ({_line(error)}); a smaller --batch-size takes less", RUN_FAILED, debug)
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader of the output closed the pipe; click ends quietly
            raise
        place = f": {error.filename}" if error.filename is not None else ""
        _end(f"Error: {error.strerror or _line(error)}{place}", BAD_INPUT, debug)
    except Exception as error:
        what = f"{type(error).__name__}: {_line(error)}"
        advice = f"Please report it, with what {DEBUG}=1 or `fastism-compiler --debug ...` prints."
        _end(f"Error: this is a fault of fastism-compiler ({what}). {advice}", RUN_FAILED, debug)


def _end(message: str, code: int, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exc()
    lines = printable(message).splitlines()
    shown = [line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}..." for line in lines]
    click.echo("\n".join(shown), err=True)
    sys.exit(code)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
