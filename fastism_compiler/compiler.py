"""`compile`: from a model to a program, in one call."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastism_compiler.assembly import Assembly
from fastism_compiler.compiled import CompiledISM
from fastism_compiler.frontend.ensemble.models import Combine, Ensemble
from fastism_compiler.frontend.registry import read_model
from fastism_compiler.frontend.selection import Narrowed, Selection
from fastism_compiler.frontend.source import SourceModel
from fastism_compiler.host.hardware import default_lanes
from fastism_compiler.host.targets import Target
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.ir.queries import rule_of
from fastism_compiler.mutations.letters import letters_of
from fastism_compiler.options import CompileOptions, Outputs, has_float64
from fastism_compiler.passes import Pipeline
from fastism_compiler.planning.autotune import Timings, Tuner, cache_folder
from fastism_compiler.planning.buckets import split_by_width
from fastism_compiler.planning.memory import Budget, naive_rows, rows_within, tile_bytes
from fastism_compiler.runtime.engine import Engine, sequence_type
from fastism_compiler.runtime.engine_factory import EngineFactory, Resources
from fastism_compiler.runtime.foreign_rows import ForeignRows
from fastism_compiler.runtime.scoring import Parts
from fastism_compiler.runtime.verification import check_independence, random_inputs, random_replacement


def compile(
    model: Any,
    seq_input: int | str = 0,
    ranges: Sequence[tuple[int, int]] | None = None,
    stop_at: str | Sequence[str] | None = None,
    outputs: Outputs | None = None,
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
    runtime: str = "tensorflow",
    verify: bool = True,
    pipeline: Pipeline | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
    combine: Combine = "mean",
) -> CompiledISM:
    """Compile a model into an in-silico mutagenesis program.

    Args:
        model: a `keras.Model` (functional, Sequential, nested, subclassed), or
            a path to a `.keras` or `.h5` file. Weights are read whenever the
            program runs. A Keras 2 model (`tf_keras`) is converted first. Or an
            `onnx.ModelProto`, an `.onnx` file or a SavedModel folder, whose
            weights become constants (PyTorch modules: `from_torch`). The
            sequence is `[B, L, C]` or tokens `[B, L]`; letters may come first,
            and a third axis may have one element (see `plan.notes`). Or a list
            of models that take and return the same, such as folds: one program.
        seq_input: the mutated input, by position or name; models that take a
            dict need its key.
        ranges: half-open `(start, end)` position ranges; None: every position.
        stop_at: layer name(s) from which on everything is recomputed.
        outputs: which outputs to return: a dict key, output-layer name or
            number, or several; or a dict of these, with numpy indices into one
            output (None: all of it), e.g. `{"head": [3, 7]}`, or `fc.around(50)`:
            the positions within 50 of each change.
        reduce: callable on the selected outputs (same nest, leading axis
            rows), traced into the program.
        length: sequence length where the model leaves it open.
        channels: channels that hold letters (default all); others stay fixed. For
            integer tokens: the token of each letter.
        alphabet: letters in the order of `channels`, for `variants` and for sequences given as text.
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
        runtime: what compiles and runs the program: `"tensorflow"`, `"jax"` (extra `[jax]`), on JAX's first device, or
            `"onnxruntime"` (extra `[onnx]`), on its GPU if it has one; `"auto"`: the first of them that has a GPU,
            TensorFlow if none has. The plan says which. What cannot be trusted is scored where the model itself runs.
        verify: compare a few ranges with naive ISM before returning.
        pipeline: passes to run instead of `default_pipeline()`.
        custom_objects: for loading a model from a path: classes and functions, by the names that the file has for
            them. Those registered with Keras are found without it.
        safe_mode: for loading a model from a path: refuse files that hold Python code, or name anything but
            computing layers of Keras, registered objects and `custom_objects`. False: trust the file like a program.
        combine: of a list of models: `"mean"`; `"logits"`, for probabilities: the mean of log odds, as a probability;
            a function of the list of one output of every model; None: a list of what each model returns.

    Returns:
        The compiled program.

    Raises:
        ModelError: not a model that a frontend reads, or an unreadable file.
        UnsupportedError: a construct that cannot be compiled, by name.
        RangeError, LayerNameError, OptionError, InputError: options that do not fit the model.
        MemoryBudgetError: a `memory_budget` that one sequence already exceeds.
        VerificationError: the program disagrees with naive ISM (a bug; nothing is returned).
    """
    options = CompileOptions(
        seq_input=seq_input,
        ranges=ranges,
        stop_at=stop_at,
        outputs=outputs,
        reduce=reduce,
        length=length,
        channels=channels,
        alphabet=alphabet,
        batch_size=batch_size,
        memory_budget=memory_budget,
        jit=jit,
        precision=precision,
        autotune=autotune,
        devices=devices,
        target=target,
        runtime=runtime,
        verify=verify,
        pipeline=pipeline,
        custom_objects=custom_objects,
        safe_mode=safe_mode,
        combine=combine,
    )
    if isinstance(model, list | tuple):
        model = Ensemble(tuple(model), combine)
    return compile_source(read_model(model, options.reading), options)


def compile_source(source: SourceModel, options: CompileOptions) -> CompiledISM:
    """Compile what a frontend has read; `source` stays as it is, and may be compiled again.

    Raises:
        FastISMError: as `compile`.
    """
    options = options.resolved(source.graph)
    options.check_model(source.graph)
    runtime = options.foreign
    if not options.local_devices:  # a variable lives on one of them
        source = replace(source, bindings=source.bindings.with_constants_held())
    selection = Selection(source, options.selected, options.reduce)
    ranges = ChangeRanges.of(options.ranges, sequence_type(source.graph).extent(1))
    narrowed = selection.narrow(source, ranges.max_width)
    graph = narrowed.source.graph
    budget, machine = options.budget, options.machine
    lanes = 1 if machine.gpu else default_lanes()
    factory = EngineFactory(
        narrowed=narrowed,
        letters=letters_of(graph, options.channels, source.inputs.vocabulary),
        pipeline=options.passes,
        stop_at=options.stops,
        jit=options.jit and not has_float64(graph),
        precision=options.precision,
        resources=Resources(
            most_rows=rows_within(selection, budget.bytes),
            tile_bytes=tile_bytes(budget.bytes, lanes, machine),
            devices=options.local_devices,
            runtime=runtime,
            lanes=lanes,
            machine=machine,
        ),
    )
    model = source.origin.oracle(naive_rows(graph, budget.bytes, machine))
    parts = Parts(
        inputs=source.inputs,
        selection=selection,
        naive=model,
        ranges=ranges,
        letters=factory.letters,
        whole=None if runtime is None else ForeignRows.of(source, runtime, model),
    )
    if options.autotune:
        factory = _tuned(factory, parts, options.most_sequences)
    program = _assemble(factory, parts, options, budget, _notes(narrowed, options))
    before = source.origin.fingerprint()
    _prove(program, options.verify)
    source.origin.rehearse()
    kept = source.origin.steady(before, source.origin.fingerprint())
    program.follow(changed=lambda: source.origin.changed(kept), recipe=_Recipe(source.model, options))
    return program


_DECIDE = (
    "seq_input", "ranges", "stop_at", "outputs", "reduce", "length", "channels", "alphabet", "precision", "devices",
    "target", "runtime", "pipeline",
)  # fmt: skip
"""Options that decide which numbers a program gives, and where."""


@dataclass(frozen=True, slots=True)
class _Recipe:
    """A model, and how it is compiled; it can be pickled where these can.

    Attributes:
        model: as its framework has it, loaded.
        options: of `compile`.
    """

    model: Any
    options: CompileOptions

    def __call__(self) -> CompiledISM:
        """Compile the model as it is now."""
        return compile_source(read_model(self.model, self.options.reading), self.options)

    def reduced(self, reduce: Callable[[Any], Any]) -> CompiledISM:
        """Compile the model with a reduction of its results.

        Raises:
            OptionError: it is compiled with a reduction already.
        """
        if self.options.reduce is not None:
            raise OptionError(
                "the program has a reduction already", expected="a program without reduce=", got="reduce="
            )
        return compile_source(read_model(self.model, self.options.reading), replace(self.options, reduce=reduce))

    def for_a_run(self) -> Any:
        """The model, for a run of files, which compiles it by its own settings.

        Raises:
            OptionError: it is compiled with options that a run would not keep.
        """
        if isinstance(self.model, Ensemble):
            raise OptionError(
                "a run of files reads several models from their files",
                expected="the path of the first, and settings=ScanSettings(also=[paths of the others])",
                got=f"a program of {len(self.model.models)} models",
            )
        default = CompileOptions()
        # compared as text: an option may be an array, which != compares entry by entry
        chosen = [n for n in _DECIDE if repr(getattr(self.options, n)) != repr(getattr(default, n))]
        if chosen:
            raise OptionError(
                "a run of files compiles the model by its own settings; give it the model, not this program",
                expected="the model, and settings=ScanSettings(...) or VariantSettings(...)",
                got=f"a program compiled with {', '.join(chosen)}",
            )
        return self.model

    def __reduce__(self) -> Any:
        """Pickled without `verify`: the program was compared with naive ISM where it was compiled."""
        return _Recipe, (self.model, replace(self.options, verify=False))


def _assemble(
    factory: EngineFactory, parts: Parts, options: CompileOptions, budget: Budget, notes: Sequence[str]
) -> CompiledISM:
    """The program of one engine per bucket of ranges."""
    source, assembly = factory.narrowed.source, Assembly(factory, parts, options.most_sequences, budget)
    whole = options.outputs is None and options.reduce is None
    return CompiledISM(
        name=source.graph.name,
        scorer_for=assembly.scorer,
        alphabet=options.alphabet,
        batch_size=assembly.batch_size,
        most_rows=factory.resources.most_rows,
        precision=options.precision,
        output_dtypes=source.output_dtypes if whole else (),
        notes=[*notes, *assembly.notes],
    )


def _tuned(factory: EngineFactory, parts: Parts, sequences: int) -> EngineFactory:
    """The factory with the kernels and the tile size that are fastest here for the largest bucket of ranges."""
    tuner = Tuner(factory.jit, factory.precision, Timings(cache_folder() / "timings.json"), factory.resources.machine)
    timed = factory.with_resources(machine=tuner.machine(), measure=tuner.kernel_seconds)
    largest = parts.ranges.subset(max(split_by_width(parts.ranges), key=len))
    if timed(largest, sequences).naive:
        return timed

    by_time = timed.with_resources(shared_cache=None, core_cache=None)

    def engine_for(size: int) -> Engine:
        return by_time.with_resources(tile_bytes=size)(largest, sequences)

    inputs = random_inputs(parts, sequences)
    fastest = tuner.fastest_tile_bytes(engine_for, inputs, timed.resources.tile_bytes)
    return by_time.with_resources(tile_bytes=fastest)


def _prove(program: CompiledISM, verify: bool) -> None:
    """Check by running: that opaque layers keep sequences apart, and, if `verify`, the numbers."""
    if any(rule_of(node).opaque for node in program.graph):
        check_independence(program)
    if verify:
        program.verify(replace_with=random_replacement(program), ranges=4)


def _notes(narrowed: Narrowed, options: CompileOptions) -> list[str]:
    """What users should know about this program, besides the table."""
    graph, notes = narrowed.source.graph, list(narrowed.source.notes)
    notes += ["kernels and tiles are planned for a GPU"] if options.machine.gpu else []
    if options.precision != "float32":
        notes.append(f"products of differences and weights are rounded to {options.precision}")
    notes += ["float64 runs without XLA, whose float64 code is wrong on CPU"] if has_float64(graph) else []
    changed = {graph.sequence} | (graph.descendants(graph.sequence) if graph.sequence else set())
    for node in graph.outputs:
        if node not in changed:
            message = f"output {node.layer!r} does not depend on the sequence: it is always the reference"
            warnings.warn(message, stacklevel=4)
            notes.append(message)
    return notes
