"""A program described: everything its manifest says that does not depend on the kind of artifact."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from fastism_compiler._version import __version__
from fastism_compiler.export.manifest import Manifest, TensorInfo
from fastism_compiler.export.nest import encode_nest
from fastism_compiler.ir import to_text
from fastism_compiler.mutations.letters import Tokens
from fastism_compiler.runtime.engine import Engine
from fastism_compiler.runtime.engine_program import EngineProgram

SEQUENCE, REPLACEMENT = "x", "replacement"
"""What every artifact calls the mutated input, and what is put into its ranges."""


def describe(program: EngineProgram, kind: str, engines: Sequence[Engine] | None = None) -> Manifest:
    """The manifest of a program, without `files` and `details`, which depend on the kind of artifact.

    Args:
        program: the program.
        kind: the kind of artifact.
        engines: those that are exported (default: the program's own).
    """
    engines = engines or program.engines
    inputs = program.inputs
    names = input_names(program)
    plan = replace(program.plan, notes=tuple(program.notes))  # without what runs the program here
    tokens = isinstance(program.letters, Tokens)
    return Manifest(
        kind=kind,
        package=__version__,
        model=engines[0].graph.name,
        source_digest=source_digest(engines[0]),
        inputs=tuple(
            TensorInfo(name, tuple(t.extent(i) for i in range(1, t.rank)), t.dtype, source)
            for name, source, t in zip(names, inputs.names, inputs.types, strict=True)
        ),
        sequence=inputs.sequence,
        keys=inputs.keys,
        vocabulary=inputs.vocabulary,
        alphabet=program.alphabet,
        letters_kind="tokens" if tokens else "channels",
        letters=program.letters.ids if isinstance(program.letters, Tokens) else program.letters.numbers,
        starts=tuple(int(n) for n in program.ranges.lo),
        ends=tuple(int(n) for n in program.ranges.hi),
        outputs=output_infos(program, names),
        nest=encode_nest(program.selection.nest),
        model_dtypes=program.output_dtypes,
        batch_size=program.batch_size,
        naive_rows=program.naive.rows,
        plan=json.loads(json.dumps(asdict(plan))),
        plan_text=str(plan),
        graph_text="\n".join(to_text(e.graph) for e in engines),
        notes=tuple(program.notes),
        functions=function_names(program),
        vocabularies=inputs.vocabularies,
        layout=inputs.layout,
    )


def function_names(program: EngineProgram) -> tuple[str, ...]:
    """The functions of a program; `saturate` needs ranges of width 1."""
    single = bool((program.ranges.widths == 1).all())
    return ("scan", "saturate", "reference") if single else ("scan", "reference")


def input_names(program: EngineProgram) -> list[str]:
    """The inputs' names in artifacts: `x` for the sequence, extra inputs by their own (or by their dict keys)."""
    inputs = program.inputs
    taken = {SEQUENCE, REPLACEMENT}
    names = []
    for position, name in enumerate(inputs.keys or inputs.names):
        names.append(SEQUENCE if position == inputs.sequence else unique_name(name, taken))
    return names


def output_infos(program: EngineProgram, inputs: Sequence[str]) -> tuple[TensorInfo, ...]:
    """The outputs, under names that no input has."""
    taken = {*inputs, REPLACEMENT}
    return tuple(
        TensorInfo(unique_name(name, taken), tuple(int(n) for n in y.shape[1:]), y.dtype.name, name)
        for name, y in zip(program.selection.names, program.selection.samples, strict=True)
    )


def unique_name(name: str, taken: set[str]) -> str:
    """`name` in letters, digits and underscores, numbered if it is taken; added to `taken`."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII) or "unnamed"
    candidate, number = plain, 1
    while candidate in taken:
        candidate, number = f"{plain}_{number}", number + 1
    taken.add(candidate)
    return candidate


def source_digest(engine: Engine) -> str:
    """sha256 of the source model's configuration (its graph, where it has none) and weights."""
    source = engine.source
    configuration = source.origin.configuration() or to_text(source.graph)
    digest = hashlib.sha256(configuration.encode())
    for weight in source.origin.weights(source.bindings):
        value = np.asarray(weight.value)
        digest.update(f"{weight.path}:{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()
