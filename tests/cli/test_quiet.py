"""No line of TensorFlow's on any command: what is said is said by this package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastism_compiler as fc


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, *code.split()] if code.startswith("-m") else [sys.executable, "-c", code]
    return subprocess.run(command, env={**known, **environment}, capture_output=True, text=True, check=True)


def test_a_command_says_nothing_but_its_result(tmp_path: Path) -> None:
    fc.models.deepstarr(length=101).save(path := tmp_path / "model.keras")
    done = run(f"-m fastism_compiler verify {path}")
    assert done.stderr == ""
    assert "max error" in done.stdout


QUIET = "from fastism_compiler.host.quiet import quieten; quieten(); import tensorflow"


def test_errors_of_an_import_are_passed_on(tmp_path: Path) -> None:
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text(
        "import os; os.write(2, b'I0000 00:00 port.cc] noise\\nSegments of libtensorflow are missing\\n')"
    )
    assert run(QUIET, PYTHONPATH=str(tmp_path)).stderr == "Segments of libtensorflow are missing\n"


@pytest.mark.parametrize(
    ("level", "platform", "heard"), [("0", "", True), ("3", "", False), ("1", "", True), ("1", "Tensorflow", False)]
)
def test_who_asks_for_logs_gets_them(tmp_path: Path, level: str, platform: str, heard: bool) -> None:
    """The last as from a notebook that has imported TensorFlow, which sets the level itself."""
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text("import os; os.write(2, b'I0000 00:00 port.cc] noise\\n')")
    environment = {"TF_CPP_MIN_LOG_LEVEL": level, "TPU_ML_PLATFORM": platform}
    assert ("noise" in run(QUIET, PYTHONPATH=str(tmp_path), **environment).stderr) == heard
