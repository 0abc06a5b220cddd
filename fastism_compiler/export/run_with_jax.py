"""Runs this program with JAX alone: `python run_with_jax.py x.npy` saturates.

A program whose change ranges are wider than one position has no saturation; it then scores the sequences themselves.

    from run_with_jax import Program
    program = Program("path/to/this/folder")
    scores = program("scan", x=x, replacement=np.zeros((1, 4), "float32"))  # {output: [B, R, *out]}
    scores = program("saturate", x=x)                                       # {output: [B, R, C, *out]}
    scores = program("reference", x=x)                                      # {output: [B, *out]}

Extra inputs go by their names in manifest.json. Any number of sequences: they
run in blocks of the fixed size the modules were written for, the last one padded.
"""

import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]  # nothing is narrowed on the way in


class Program:
    """The modules in `folder`, compiled for `device` (default: JAX's first) when they are first called."""

    def __init__(self, folder: Any, device: Any = None) -> None:
        self.folder, self.device = Path(folder), device or jax.devices()[0]
        self.manifest = json.loads((self.folder / "manifest.json").read_text())
        stored = np.load(self.folder / "weights.npz", allow_pickle=False)
        self.weights = {
            w["key"]: jax.device_put(stored[w["key"]].view(jax.numpy.dtype(w["dtype"])), self.device)
            for w in self.manifest["details"]["weights"]
        }
        self._compiled: dict[str, Any] = {}

    def __call__(self, name: str, **tensors: Any) -> dict[str, Any]:
        """Outputs by name for `x`, a scan's `replacement` and extra inputs."""
        size, count, blocks = self.manifest["batch_size"], len(tensors["x"]), []
        for begin in range(0, count, size):
            rows = np.minimum(np.arange(begin, begin + size), count - 1)  # the last sequence again, up to a whole block
            block = {n: t if n == "replacement" else np.asarray(t)[rows] for n, t in tensors.items()}
            blocks.append([np.asarray(y) for y in self.block(name, **block)])
        flat = [np.concatenate(parts)[:count] for parts in zip(*blocks, strict=True)]
        return {t["name"]: y for t, y in zip(self.manifest["outputs"], flat, strict=True)}

    def block(self, name: str, **tensors: Any) -> list[jax.Array]:
        """Outputs for one block of exactly the fixed size, on the device, perhaps still being computed."""
        module = self.manifest["details"]["modules"][name]
        if name not in self._compiled:
            text = (self.folder / module["file"]).read_text()
            self._compiled[name] = self.device.client.compile_and_load(text, [self.device])
        given = [np.asarray(tensors[p["name"]], p["dtype"]).reshape(p["shape"]) for p in module["inputs"]]
        weights = [self.weights[key] for key in module["weights"]]
        results: list[jax.Array] = self._compiled[name].execute(
            [*(jax.device_put(t, self.device) for t in given), *weights]
        )
        return results


if __name__ == "__main__":
    program, x = Program(Path(__file__).parent), np.load(sys.argv[1])
    name = "saturate" if "saturate" in program.manifest["details"]["modules"] else "reference"
    for output, scores in program(name, x=x).items():
        print(name, output, scores.shape)
