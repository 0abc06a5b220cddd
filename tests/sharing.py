"""Runs of the same model file by the same settings share one compiled program: compiling is most of their time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from fastism_compiler.runs import jobs
from fastism_compiler.runs.digest import model_digest
from fastism_compiler.runs.programs import Programs, compile_programs
from fastism_compiler.runs.settings import Settings

_made: dict[str, Programs] = {}


def compile_once(model: Any, settings: Settings, block: int | None = None, verify: bool = False) -> Programs:
    """`compile_programs`, which is asked again for other bytes, other settings, classes of the user, and to verify."""
    alone = isinstance(model, str | os.PathLike) and os.path.isfile(model) and not (settings.imports or settings.custom)
    if not alone or verify or not all(map(os.path.isfile, settings.also)):
        return compile_programs(model, settings, block, verify)
    settings.check()
    files = [model_digest(path) for path in (model, *settings.also)]
    key = json.dumps([files, type(settings).__name__, asdict(settings), block])
    if key not in _made:
        _made[key] = compile_programs(model, settings, block, verify)
    return _made[key]


ALONE = ("tests.runs.test_resume", "tests.runs.test_workers")
"""Modules that compare the bits of two runs: each of them compiles."""


@pytest.fixture(scope="module", autouse=True)
def shared_programs(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if request.module.__name__ not in ALONE:
            patch.setattr(jobs, "compile_programs", compile_once)
        yield
