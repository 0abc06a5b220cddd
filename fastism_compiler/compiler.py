"""`compile`: from a Keras model to a program, in one call."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastism_compiler.compiled import CompiledISM
from fastism_compiler.errors import InputError, LayerNameError, UnsupportedError
from fastism_compiler.frontend.loading import load_model
from fastism_compiler.host.hardware import default_lanes
from fastism_compiler.host.targets import Target, machine_for
from fastism_compiler.ir import ChangeRanges, Graph
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.ir.queries import rule_of
from fastism_compiler.ir.types import FLOATS
from fastism_compiler.mutations.inputs import Array, InputSpec
from fastism_compiler.mutations.letters import letters_of, vocabulary
from fastism_compiler.passes import Pipeline, default_pipeline
from fastism_compiler.passes.cost.machine import Machine
from fastism_compiler.planning.autotune import Timings, Tuner, cache_folder
from fastism_compiler.planning.buckets import scan_cost, split_by_edge, split_by_width
from fastism_compiler.planning.memory import choose_batch_size, naive_rows, parse_budget, rows_within, tile_bytes
from fastism_compiler.runtime.engine import Engine
from fastism_compiler.runtime.engine_factory import EngineFactory
from fastism_compiler.runtime.naive import NaiveRows
from fastism_compiler.runtime.scoring import Parts, Scorer
from fastism_compiler.runtime.verification import EFFECT_SHARE, random_inputs

_MOST_SEQUENCES = 32


def compile(
    model: Any,
    seq_input: int | str = 0,
    ranges: Sequence[tuple[int, int]] | None = None,
    stop_at: str | Sequence[str] | None = None,
    outputs: Mapping[Any, Any] | None = None,
    reduce: Callable[[Any], Any] | None = None,
    length: int | None = None,
    channels: Sequence[int] | None = None,
    alphabet: str = "ACGT",
    batch_size: int | None = None,
    memory_budget: int | str | None = None,
    jit: bool = True,
    precision: str = "float32",
    autotune: bool = False,
    devices: str | Sequence[str] | None = None,
    target: Target | None = None,
    verify: bool = True,
    pipeline: Pipeline | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
) -> CompiledISM:
    """Compile a Keras 3 model into an in-silico mutagenesis program.

    Args:
        model: a `keras.Model` (functional, Sequential, nested, subclassed), or
            a path to a `.keras` or `.h5` file. Weights are read whenever the
            program runs. A Keras 2 model (`tf_keras`) is converted first.
        seq_input: the mutated input, by position or name; models that take a
            dict need its key.
        ranges: half-open `(start, end)` position ranges; None: every position.
        stop_at: layer name(s) from which on everything is recomputed.
        outputs: which outputs to return, e.g. `{"head": [3, 7]}`; keys are
            dict keys, output-layer names or numbers, values numpy indices into
            one output (None: all of it).
        reduce: callable on the selected outputs (same nest, leading axis
            rows), traced into the program.
        length: sequence length where the model leaves it open.
        channels: channels that hold letters (default all); others stay fixed. For
            integer tokens: the token of each letter.
        alphabet: letters in the order of `channels`, for `variants`.
        batch_size: most sequences per block (default: by memory, up to 32).
        memory_budget: bytes, or such as `"2GiB"` (default: half of what is free).
        jit: compile with XLA (never in float64, where XLA is wrong on CPU).
        precision: `"float32"`: strict, TensorFloat-32 off. `"tf32"`, `"bfloat16"`: the
            products of differences and weights alone are rounded, relative to the
            differences; the reference and everything else stay float32.
        autotune: time kernels and tile sizes at the model's shapes, and the machine's rates for
            the cost models, once; results are kept in `FASTISM_COMPILER_CACHE` (default: the user's cache folder).
        devices: local devices that share the sequences of each block, such as
            `["GPU:0", "GPU:1"]` (default: where TensorFlow runs the model).
        target: what kernels and tiles are planned for: `"cpu"`, `"gpu"`, or a `passes.Machine` (default: where the
            program will run). Results are the same but for rounding; name it for artifacts that another machine runs.
        verify: compare a few ranges with naive ISM before returning.
        pipeline: passes to run instead of `default_pipeline()`.
        custom_objects: for loading a model from a path.
        safe_mode: refuse lambdas when loading a model from a path.

    Returns:
        The compiled program.

    Raises:
        ModelError: not a Keras 3 model with a functional graph, or an unreadable file.
        UnsupportedError: a construct that cannot be compiled, by name.
        RangeError, LayerNameError, OptionError, InputError: options that do not fit the model.
        VerificationError: the program disagrees with naive ISM (a bug; nothing is returned).
    """
    from fastism_compiler.frontend.builder import dtype_name
    from fastism_compiler.frontend.keras import private
    from fastism_compiler.frontend.keras.lowering import lower
    from fastism_compiler.frontend.selection import Selection
    from fastism_compiler.runtime.devices import check_devices

    _check_options(precision, batch_size)
    model = load_model(model, custom_objects, safe_mode)
    stops = frozenset([stop_at] if isinstance(stop_at, str) else stop_at or ())
    passes = pipeline or default_pipeline()
    position = find_sequence(model, seq_input)
    lowered = lower(model, position, length)
    graph, function = lowered.graph, lowered.function
    tokens = vocabulary(graph) or private.embedding_rows(model)
    inputs = input_spec(function, position, length, tokens)
    sequence = graph.inputs[position]
    _check_layers(graph, stops)
    letters = letters_of(graph, channels, tokens)
    structure = private.output_structure(function)
    output_types = [n.type for n in graph.outputs]
    selection = Selection(structure, private.output_names(function), output_types, outputs, reduce)
    finish = selection.narrow(lowered)
    _check_precision(graph, precision)
    jit = jit and not _is_float64(graph)
    table = ChangeRanges.of(ranges, sequence.type.extent(1))
    budget = parse_budget(memory_budget)

    names = check_devices(devices) if devices is not None else ()
    machine = machine_for(target, names, here=autotune)
    lanes = 1 if machine.gpu else default_lanes()
    rows, size = rows_within(selection, budget), tile_bytes(budget, lanes, machine)
    factory = EngineFactory(
        lowered, passes, stops, jit, precision, letters, finish, selection.contiguous, rows, size, names, lanes, machine
    )
    naive = NaiveRows(model, private.input_structure(function), rows=naive_rows(graph, budget, machine))
    dtypes = [dtype_name(t.dtype) for t in function.outputs] if reduce is None and outputs is None else []
    parts = Parts(inputs, selection, naive, table, letters)
    most = batch_size or _MOST_SEQUENCES
    if autotune:
        factory = _tuned(factory, parts, most)
    program = _assemble(factory, parts, most, budget, alphabet, dtypes, _notes(lowered, precision, machine))
    _prove(program, verify)
    return program


def _assemble(
    factory: EngineFactory,
    parts: Parts,
    most_sequences: int,
    budget: int,
    alphabet: str,
    dtypes: Sequence[str],
    notes: Sequence[str],
) -> CompiledISM:
    """Choose the block size, and make the program of one engine per bucket of ranges."""
    make = _remembered(factory, parts.ranges)
    buckets = split_by_width(parts.ranges)
    if not any(make(b, most_sequences).naive for b in buckets):
        length = parts.inputs.types[parts.inputs.sequence].extent(1)

        def cost(members: Array) -> float:
            engine = make(members, most_sequences)
            return scan_cost(engine.graph, engine.context)

        buckets = split_by_edge(parts.ranges, length, buckets, cost)

    def engines_for(sequences: int, sparse: bool = False) -> list[Engine]:
        return [make(b, sequences, sparse) for b in buckets]

    block = choose_batch_size(engines_for, parts.selection, most_sequences, budget)

    def scorer_for(sparse: bool) -> Scorer:
        return Scorer(parts, buckets, engines_for(block, sparse), lambda ranges: factory(ranges, block), block)

    return CompiledISM(
        scorer_for=scorer_for,
        alphabet=alphabet,
        batch_size=block,
        most_rows=factory.most_rows,
        output_dtypes=dtypes,
        notes=notes,
    )


def _remembered(factory: EngineFactory, ranges: ChangeRanges) -> Callable[..., Engine]:
    """`(range numbers, sequences, sparse=False) -> engine`, each made once."""
    made: dict[tuple[bytes, int, bool], Engine] = {}

    def make(members: Array, sequences: int, sparse: bool = False) -> Engine:
        key = (members.tobytes(), sequences, sparse)
        if key not in made:
            made[key] = factory(ranges.subset(members), sequences, sparse)
        return made[key]

    return make


def _tuned(factory: EngineFactory, parts: Parts, sequences: int) -> EngineFactory:
    """The factory with the kernels and the tile size that are fastest here for the largest bucket of ranges."""
    tuner = Tuner(factory.jit, factory.precision, Timings(cache_folder() / "timings.json"), factory.machine)
    timed = replace(factory, machine=tuner.machine(), measure=tuner.kernel_seconds)
    largest = parts.ranges.subset(max(split_by_width(parts.ranges), key=len))
    if timed(largest, sequences).naive:
        return timed

    by_time = replace(timed, shared_cache=None, core_cache=None)

    def engine_for(size: int) -> Engine:
        return replace(by_time, tile_bytes=size)(largest, sequences)

    inputs = random_inputs(parts, sequences)
    return replace(by_time, tile_bytes=tuner.fastest_tile_bytes(engine_for, inputs, timed.tile_bytes))


def _prove(program: CompiledISM, verify: bool) -> None:
    """Run what can only be checked by running: opaque layers always, numbers on demand."""
    from fastism_compiler.runtime.verification import check_independence, random_replacement

    if any(rule_of(node).opaque for node in program.graph):
        check_independence(program)
    if verify:
        program.verify(replace_with=random_replacement(program), ranges=4)


def _check_options(precision: str, batch_size: int | None) -> None:
    if precision not in EFFECT_SHARE:
        raise OptionError("no such precision", expected=f"one of {list(EFFECT_SHARE)}", got=repr(precision))
    if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
        raise OptionError("batch_size must be a positive integer", got=batch_size)


def find_sequence(model: Any, seq_input: int | str) -> int:
    """Position of the mutated input among the model's flat inputs.

    Raises:
        InputError: no input of that name or number.
        ModelError: a model without a functional graph.
    """
    from fastism_compiler.frontend.keras import private
    from fastism_compiler.frontend.keras.lowering import functional_graph

    function = functional_graph(model)
    structure = private.input_structure(function)
    names = [t.name for t in function.inputs]
    keys = sorted(structure) if isinstance(structure, Mapping) else []
    if isinstance(seq_input, str):
        for known in (keys, names):
            if seq_input in known:
                return known.index(seq_input)
    elif isinstance(seq_input, int) and 0 <= seq_input < len(names) and (not keys or len(names) == 1):
        return seq_input
    expected = f"one of {keys}" if keys else f"0 .. {len(names) - 1}, or one of {names}"
    raise InputError("seq_input must name one of the model's inputs", expected=expected, got=repr(seq_input))


def input_spec(function: Any, position: int, length: int | None = None, vocabulary: int | None = None) -> InputSpec:
    """What a functional model takes, with its `position`-th flat input as the sequence."""
    from fastism_compiler.frontend.keras import private
    from fastism_compiler.frontend.keras.lowering import input_type

    structure = private.input_structure(function)
    keys = tuple(sorted(structure)) if isinstance(structure, Mapping) else None
    names = tuple(t.name for t in function.inputs)
    types = [input_type(t, length if i == position else None) for i, t in enumerate(function.inputs)]
    sequence = types[position]
    if sequence.rank not in (2, 3) or sequence.dtype == "bool":
        raise InputError(
            "the sequence input must be [batch, length, channels], or integer tokens [batch, length]",
            expected="rank 3 or 2, of numbers",
            got=f"input {names[position]!r}: {sequence}",
        )
    tokens = vocabulary if sequence.rank == 2 else None
    return InputSpec(names, tuple(types), position, keys, tokens)


def _check_layers(graph: Any, stop_at: frozenset[str]) -> None:
    known = {part for n in graph if n.layer for part in (n.layer, *n.layer.split("/"))}
    for name in sorted(stop_at - known):
        raise LayerNameError(
            "stop_at must name layers that the outputs depend on", expected=f"one of {sorted(known)}", got=repr(name)
        )


def _is_float64(graph: Graph) -> bool:
    """Whether anything is computed in float64, which XLA must be kept away from.

    On CPU (TensorFlow 2.21) a padded, strided convolution in float64 gave other
    numbers on every second call, and corrupted the heap; in float32 it did not.
    """
    return any(node.type.dtype == "float64" for node in graph)


def _check_precision(graph: Graph, precision: str) -> None:
    if precision != "float32" and _is_float64(graph):
        raise UnsupportedError(
            "a float64 model runs in float64", expected='precision="float32" (the default)', got=repr(precision)
        )


def _notes(lowered: Any, precision: str, machine: Machine) -> list[str]:
    """What users should know about this model, besides the table."""
    layers = lowered.model._flatten_layers(include_self=False)
    narrow = sorted({t for t in (str(layer.compute_dtype) for layer in layers) if t in FLOATS[:2]})
    notes = [f"{dtype} layers compute in float32; outputs are cast back" for dtype in narrow]
    notes += ["kernels and tiles are planned for a GPU"] if machine.gpu else []
    if precision != "float32":
        notes.append(f"products of differences and weights are rounded to {precision}")
    notes += [
        f"{name}: what its call computes from its weights alone is as it was at compile" for name in lowered.frozen
    ]
    whole = lowered.declined.get(lowered.model.name)
    notes += [f"the model runs whole: {whole}"] if whole else []
    notes += ["float64 runs without XLA, whose float64 code is wrong on CPU"] if _is_float64(lowered.graph) else []
    changed = {n for n in lowered.graph.descendants(lowered.graph.sequence)} | {lowered.graph.sequence}
    for node in lowered.graph.outputs:
        if node not in changed:
            message = f"output {node.layer!r} does not depend on the sequence: it is always the reference"
            warnings.warn(message, stacklevel=3)
            notes.append(message)
    return notes
