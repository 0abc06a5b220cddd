"""A separate environment for what needs PyTorch: 5.8 GB, and some ten minutes to install.

python -m benchmarks.torch_environment -m pytest tests/torch        # builds it, and runs Python in it
python -m benchmarks.torch_environment -m benchmarks.torch_models   # writes the ONNX models of the tests anew
"""

from __future__ import annotations

import argparse
import os
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


def options_there(module: str, description: str | None, models: str, given: Sequence[str]) -> argparse.Namespace:
    """The options of a benchmark that runs in that environment, if this is it; else it is run there, and ended here.

    Args:
        module: the benchmark.
        description: what it does.
        models: which there are, for users.
        given: its arguments.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", help=f"{models} (default: all)")
    parser.add_argument("--sequences", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--here", action="store_true", help="PyTorch is in this environment: build none")
    options = parser.parse_args(given)
    if not options.here:
        raise SystemExit(run(["-m", module, "--here", *given]))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return options


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
