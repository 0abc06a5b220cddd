"""Hostile options of every command: each option that click knows of, with senseless values."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, chdir
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import click

import fastism_compiler as fc
from fastism_compiler.cli import main
from fastism_compiler.cli.model import ModelOptions

_VALUES = (
    "", " ", "0", "-1", "1.5", "nan", "inf", "-inf", "1e999", "9" * 30, "-" + "9" * 5000, "True", "None", "x",
    "x" * 300,
    "head:", ":", "head:9" + "9" * 40, "0:*:*", "1-0", "5-5", "10-20,", "1/0", "0/0", "9/8", "1,1,1,1", "[1]", "{}",
    "é😀", "٣", "\u202e", "\udc80", "a\nb", "--help", "-", "NAME=a:b", "a=b", "=", "os:system", "tcp://",
    ".", "..", "/", "/dev/null", "/proc/self/mem", "folder", "missing", "missing/x.png", "mine.png", "../x.html",
    "x.svg", "r.html", "x" * 5000 + ".png",
)  # fmt: skip
_COMMANDS = tuple(sorted(set(main.commands) - {"demo"}))
"""The demo computes, whatever its options."""


def write_commands(path: Path) -> list[int]:
    """Write a command line that reads a model, so that TensorFlow is imported before inputs are timed."""
    path.write_text(json.dumps(["bench", __file__]))
    return []


def hostile(rng: Random, data: bytes) -> bytes:
    """A command line with some of the command's options, and arguments, drawn from `_VALUES`."""
    del data
    command = main.commands[rng.choice(_COMMANDS)]
    words, parameters = [str(command.name)], list(command.params)
    for parameter in parameters:
        if isinstance(parameter, click.Argument):
            words.append(__file__ if parameter.name == "model" and rng.random() < 0.8 else rng.choice(_VALUES))
    options = [p for p in parameters if isinstance(p, click.Option)]
    for option in rng.sample(options, min(len(options), rng.randint(0, 4))):
        words.append(rng.choice([*option.opts, *option.secondary_opts]))
        if not option.is_flag:
            known = list(option.type.choices) if isinstance(option.type, click.Choice) else []
            words.append(str(rng.choice(known)) if known and rng.random() < 0.5 else rng.choice(_VALUES))
    return json.dumps(words).encode()


def read_commands(path: Path, _: bool) -> Iterator[Any]:
    """Run the command line up to where a model would be read.

    Raises:
        AssertionError: it ends otherwise than with a message of its own, or has touched a file of the user's.
    """
    from click.testing import CliRunner

    words = json.loads(path.read_bytes())
    with tempfile.TemporaryDirectory() as folder, chdir(folder), ExitStack() as stack:
        Path("folder").mkdir()
        Path("mine.png").write_text("mine")
        for owner, name in ((fc, "scan"), (fc, "scan_variants"), (ModelOptions, "compile")):
            stack.enter_context(patch.object(owner, name, _checked, create=True))
        result = CliRunner().invoke(main, words)
        told = result.output
        wrong = not isinstance(result.exception, SystemExit | None) or "fault of" in told or "Traceback" in told
        if wrong or Path("mine.png").read_text() != "mine":
            raise AssertionError(f"{words}: {result.exception!r}: {told[-300:]}"[:2000])
    yield None


def _checked(*_: Any, settings: Any = None, execution: Any = None, **__: Any) -> Any:
    """What a run does before it reads the model."""
    if settings is not None:
        settings.check()
        execution.check(__file__)
        settings.change_ranges(30)
    raise fc.RunError("checked")
