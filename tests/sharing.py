"""Runs of the same model file by the same settings share one compiled program: compiling is most of their time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
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
    key = json.dumps([[model_digest(path) for path in (model, *settings.also)], settings.to_json(), block])
    if key not in _made:
        _made[key] = compile_programs(model, settings, block, verify)
    return _made[key]


@pytest.fixture(scope="package", autouse=True)
def shared_programs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "compile_programs", compile_once)
        yield
