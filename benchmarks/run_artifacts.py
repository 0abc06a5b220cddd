"""Runs exported programs in a process that can import their runtime only: `python run_artifacts.py RUNTIME FOLDER`.

Below FOLDER lies one folder per model: artifacts, `cases.json` (which function
on which inputs), the inputs, and afterwards the outputs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, Any]
Call = Callable[[str, Arrays], Arrays]
"""`(function, tensors by name) -> outputs by name`"""


def with_tensorflow(folder: Path) -> Call:
    """The SavedModel's signatures, jitted and plain."""
    import tensorflow as tf

    signatures = tf.saved_model.load(str(folder / "savedmodel")).signatures

    def call(function: str, tensors: Arrays) -> Arrays:
        results = signatures[function](**{name: tf.constant(x) for name, x in tensors.items()})
        return {name: y.numpy() for name, y in results.items()}

    return call


def with_onnxruntime(folder: Path) -> Call:
    """The ONNX model of a scan; `saturate` is one scan per letter."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(folder / "scan.onnx"), options, providers=["CPUExecutionProvider"])
    names = [y.name for y in session.get_outputs()]
    assert json.loads(session.get_modelmeta().custom_metadata_map["fastism"])["kind"] == "onnx"

    def scan(tensors: Arrays) -> Arrays:
        return dict(zip(names, session.run(None, tensors), strict=True))

    def call(function: str, tensors: Arrays) -> Arrays:
        if function == "scan":
            return scan(tensors)
        letters = np.eye(tensors["x"].shape[2], dtype=tensors["x"].dtype)
        scans = [scan({**tensors, "replacement": letter[None]}) for letter in letters]
        return {name: np.stack([s[name] for s in scans], axis=2) for name in names}

    return call


def with_jax(folder: Path) -> Call:
    """The runner that lies beside the modules."""
    sys.path.insert(0, str(folder / "stablehlo"))
    from run_with_jax import Program

    program = Program(folder / "stablehlo")
    return lambda function, tensors: program(function, **tensors)


RUNTIMES: dict[str, tuple[Callable[[Path], Call], tuple[str, ...], tuple[str, ...]]] = {
    "tensorflow": (
        with_tensorflow,
        ("scan", "scan_plain", "saturate", "saturate_plain", "reference"),
        ("keras", "fastism_compiler", "jax"),
    ),
    "onnxruntime": (with_onnxruntime, ("scan", "saturate"), ("keras", "fastism_compiler", "jax", "tensorflow")),
    "jax": (with_jax, ("scan", "saturate", "reference"), ("keras", "fastism_compiler", "tensorflow")),
}
"""Runtime -> how to load an artifact, the functions to run, and modules that must not be imported."""


def main(runtime: str, folder: Path) -> None:
    """Run every case of every model."""
    load, functions, strangers = RUNTIMES[runtime]
    sys.modules.update(dict.fromkeys(strangers))  # importing one of them fails from here on
    for model in sorted(p.parent for p in folder.glob("*/cases.json")):
        call = load(model)
        for case in json.loads((model / "cases.json").read_text()):
            tensors = dict(np.load(model / case["inputs"]))
            for function in functions:
                given = {k: v for k, v in tensors.items() if k != "replacement" or function.startswith("scan")}
                np.savez(model / f"{runtime}-{function}-{case['batch']}.npz", **call(function, given))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
