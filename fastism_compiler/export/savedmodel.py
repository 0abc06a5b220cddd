"""SavedModel: named functions for anyone with TensorFlow, and the parts of the program that `load` runs.

Named functions (jitted, and plain under `NAME_plain`), any number of
sequences: `scan(x, replacement, **extras)` gives `[B, R, *out]` per output,
`saturate(x, **extras)` `[B, R, C, *out]`, `reference(x, **extras)` `[B, *out]`.
A row that only the model itself could score (see `Portable`) is NaN.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.emit.precision import strict_float32
from fastism_compiler.errors import UnsupportedError
from fastism_compiler.export.describe import REPLACEMENT, describe
from fastism_compiler.export.manifest import Manifest, folder_digests
from fastism_compiler.export.portable import Portable
from fastism_compiler.runtime.engine import Engine
from fastism_compiler.runtime.engine_program import EngineProgram

MANIFEST = "fastism.json"


def write_savedmodel(program: EngineProgram, folder: Path) -> Manifest:
    """Write a program as a SavedModel with its manifest beside it.

    Args:
        program: the program.
        folder: an empty or new directory.

    Returns:
        The manifest, which is also in `folder`.

    Raises:
        UnsupportedError: a layer that keeps something TensorFlow cannot save.
        OSError: the folder cannot be written.
    """
    manifest = describe(program, "savedmodel")
    module = tf.Module(name="fastism_program")
    with strict_float32():
        functions = named_functions(program, manifest)
        details = _add_blocks(module, program)
        variables = {id(v): v for f in functions.values() for v in f.variables}
        module.weights = list(variables.values())
        for name, function in functions.items():
            setattr(module, name, function)
        _save(module, folder, functions)
    manifest = replace(manifest, details=details, files=folder_digests(folder, but=MANIFEST))
    (folder / MANIFEST).write_text(manifest.to_json())
    return manifest


def portable_of(program: EngineProgram, *, jit: bool, **options: Any) -> Portable:
    """A program's portable form."""
    return Portable(
        program.engines,
        program.buckets,
        program.letters,
        program.inputs.sequence,
        naive_rows=program.naive.rows,
        jit=jit,
        **options,
    )


def named_functions(program: EngineProgram, manifest: Manifest) -> dict[str, Any]:
    """The concrete functions by name: keyword tensors in, outputs by name out."""
    plain = _traced_functions(program, manifest, jit=False)
    jit = program.engines[0].context.jit
    compiled = _traced_functions(program, manifest, jit=True) if jit else plain
    return compiled | {f"{name}_plain": function for name, function in plain.items()}


def _traced_functions(program: EngineProgram, manifest: Manifest, *, jit: bool) -> dict[str, Any]:
    portable = portable_of(program, jit=jit)
    specs = list(signature("scan", manifest).values())
    portable.trace_once(specs[:-1], _several(specs[-1]))
    functions = {}
    for name in manifest.functions:
        traced = tf.function(keyword_function(portable, name, manifest), jit_compile=jit, autograph=False)
        functions[name] = traced.get_concrete_function(**signature(name, manifest))
    return functions


def _several(replacement: tf.TensorSpec) -> tf.TensorSpec:
    """Any number of replacements, tokens as a column."""
    width, *columns = replacement.shape
    return tf.TensorSpec([None, width, *(columns or [1])], replacement.dtype)


def positional_function(portable: Portable, name: str, manifest: Manifest) -> Callable[..., list[Tensor]]:
    """One of the portable functions, its tensors in the order of `signature`."""

    def run(*tensors: Tensor) -> list[Tensor]:
        inputs, extra = tensors[: len(manifest.inputs)], tensors[len(manifest.inputs) :]
        flat: list[Tensor] = getattr(portable, name)(list(inputs), *extra)
        return [tf.identity(y) for y in flat]

    return run


def keyword_function(portable: Portable, name: str, manifest: Manifest) -> Callable[..., dict[str, Tensor]]:
    """The same with its tensors, and its results, by the names of the manifest."""
    order = list(signature(name, manifest))
    positional = positional_function(portable, name, manifest)

    def run(**tensors: Tensor) -> dict[str, Tensor]:
        flat = positional(*(tensors[n] for n in order))
        return {t.name: y for t, y in zip(manifest.outputs, flat, strict=True)}

    return run


def signature(name: str, manifest: Manifest, batch: int | None = None) -> dict[str, tf.TensorSpec]:
    """The tensors that a named function takes; `batch` fixes the number of sequences."""
    specs = {t.name: tf.TensorSpec([batch, *t.shape], t.dtype, name=t.name) for t in manifest.inputs}
    if name == "scan":
        width = max(end - start for start, end in zip(manifest.starts, manifest.ends, strict=True))
        columns = [] if manifest.letters_kind == "tokens" else [len(manifest.letters)]
        dtype = manifest.inputs[manifest.sequence].dtype
        specs[REPLACEMENT] = tf.TensorSpec([width, *columns], dtype, name=REPLACEMENT)
    return specs


def _add_blocks(module: tf.Module, program: EngineProgram) -> dict[str, Any]:
    """Attach the parts of every engine's program to the module; return their names and sizes."""
    engines = []
    for number, (engine, members) in enumerate(zip(program.engines, program.buckets, strict=True)):
        details: dict[str, Any] = {
            "members": [int(m) for m in members],
            "naive": engine.naive,
            "groups": [int(g) for g in engine.groups],
        }
        if not engine.naive:
            details |= _parts(module, engine, number, program.batch_size)
        engines.append(details)
    return {"engines": engines, "precision": program.precision}


def _parts(module: tf.Module, engine: Engine, number: int, batch_size: int) -> dict[str, Any]:
    """The parts for one sequence, and for a whole block."""
    passes, loops = [], []
    shapes = {engine.shape_of_scan(sequences) for sequences in (1, batch_size)}
    for shape in sorted(shapes, key=lambda s: s.sequences):
        name = f"{number}_{shape.sequences}"
        setattr(module, f"pass_{name}", engine.reference_pass(shape.sequences).function)
        setattr(module, f"loop_{name}", engine.tile_loop(replace(shape, watch=True)).function)
        passes.append({"name": f"pass_{name}", "sequences": shape.sequences})
        sizes = {"sequences": shape.sequences, "tiles": shape.tiles, "rows": shape.rows}
        loops.append({"name": f"loop_{name}"} | sizes)
    return {"passes": passes, "loops": loops, "overhead": engine.tiling.overhead}


def _save(module: tf.Module, folder: Path, functions: Mapping[str, Any]) -> None:
    try:
        tf.saved_model.save(module, str(folder), signatures=dict(functions))
    except (AssertionError, ValueError, TypeError, NotImplementedError) as error:
        raise UnsupportedError(
            "TensorFlow cannot save what a layer of this model keeps outside its variables (a lookup table, a Python "
            "function); take it out of the model, or compile only the part behind it",
            got=str(error).partition("\n")[0],
        ) from error
    except tf.errors.OpError as error:  # `path; reason [Op:SaveV2]`: a disk that is full or cannot be written
        raise OSError(errno.EIO, str(error).partition(" [Op:")[0].rpartition("; ")[2]) from error
