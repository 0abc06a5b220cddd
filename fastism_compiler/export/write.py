"""`CompiledISM.export`: one writer per format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastism_compiler.export.bundle import pack_bundle
from fastism_compiler.export.manifest import Manifest
from fastism_compiler.export.savedmodel import write_savedmodel
from fastism_compiler.export.target import Scratch, check_format, new_artifact
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.runtime.engine_program import EngineProgram


def export_program(
    program: EngineProgram, path: Path, format: str, *, overwrite: bool = False, **options: Any
) -> Manifest:
    """See `CompiledISM.export`."""
    write = _WRITERS[check_format(format)]
    known = _OPTIONS.get(format, ())
    for name in options:
        if name not in known:
            raise OptionError(f"no such option of format {format}", expected=", ".join(("overwrite", *known)), got=name)
    with new_artifact(path, overwrite=overwrite, with_data=format == "onnx") as scratch:
        return write(program, scratch, **options)


def _savedmodel(program: EngineProgram, scratch: Scratch) -> Manifest:
    return write_savedmodel(program, scratch.artifact)


def _bundle(program: EngineProgram, scratch: Scratch) -> Manifest:
    manifest = write_savedmodel(program, scratch.folder / "savedmodel")
    pack_bundle(scratch.folder / "savedmodel", manifest, scratch.artifact)
    return manifest


def _stablehlo(program: EngineProgram, scratch: Scratch, batch_size: int = 1) -> Manifest:
    # late: other formats do not need it
    from fastism_compiler.export.stablehlo import write_stablehlo

    return write_stablehlo(program, scratch.artifact, batch_size)


def _onnx(program: EngineProgram, scratch: Scratch, **options: Any) -> Manifest:
    # late: the converter to ONNX takes a second to import
    from fastism_compiler.export.onnx_model import OnnxOptions, write_onnx

    return write_onnx(program, scratch.artifact, scratch.data, OnnxOptions(**options))


_WRITERS = {"savedmodel": _savedmodel, "ism": _bundle, "stablehlo": _stablehlo, "onnx": _onnx}
_OPTIONS = {"stablehlo": ("batch_size",), "onnx": ("function", "naive")}
"""What each format can be asked for, besides `overwrite`."""
