"""A separate environment for what needs PyTorch: 5.8 GB, and some ten minutes to install.

python -m benchmarks.torch_environment -m pytest tests/torch        # builds it, and runs Python in it
python -m benchmarks.torch_environment -m benchmarks.torch_models   # writes the ONNX models of the tests anew
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.environments import python_of

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".venv-torch"
PINNED = ("torch==2.14.1", "tangermeme==1.6.0", "bpnet-lite==1.1.0", "onnxscript", "onnxruntime", "pytest")


def environment(folder: Path = FOLDER) -> Path:
    """The Python of an environment with PyTorch, tangermeme and this checkout; built if it is not there."""
    return python_of(folder, PINNED, f"{ROOT}[onnx]")


def run(arguments: Sequence[str], folder: Path = FOLDER) -> int:
    """Run Python with these arguments in that environment, from the root of the checkout."""
    return subprocess.run([str(environment(folder)), *arguments], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
