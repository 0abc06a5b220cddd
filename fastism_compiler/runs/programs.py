"""The compiled programs of a run, and how its sequences become their inputs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastism_compiler.errors import ModelError
from fastism_compiler.frontend.backend import check_backend
from fastism_compiler.frontend.custom_code import load_custom
from fastism_compiler.frontend.ensemble.models import Ensemble
from fastism_compiler.genomics.alphabet import Codes, find_alphabet
from fastism_compiler.genomics.arrays import OtherInput
from fastism_compiler.genomics.encoding import Encoding
from fastism_compiler.host.hardware import free_memory
from fastism_compiler.ir import TensorType
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.mutations.letters import Tokens
from fastism_compiler.runs.digest import model_digest
from fastism_compiler.runs.outputs import Output, as_list, choose_outputs, numbers_along, reduction
from fastism_compiler.runs.settings import Settings

if TYPE_CHECKING:
    from fastism_compiler.compiled import CompiledISM
    from fastism_compiler.frontend.source import SourceModel

Array = npt.NDArray[Any]
Ranges = Sequence[tuple[int, int]]
_SHARE_OF_FREE = 0.125
"""Share of free memory for the results of one call; scores, references and copies take memory besides."""


@dataclass
class Programs:
    """A model, compiled for one run.

    Attributes:
        source: the model as its frontend read it.
        digest: what tells it apart (see `model_digest`).
        forward: the program for the forward strand.
        settings: of the run.
        outputs: what is scored, in order (of each model, where they are scored by themselves).
        keys: key of each of the model's outputs in the nest that it returns.
        ranges: the change ranges; None: every position.
    """

    source: SourceModel
    digest: dict[str, str]
    forward: CompiledISM
    settings: Settings
    outputs: list[Output]
    keys: list[Any]
    ranges: list[tuple[int, int]] | None

    @property
    def block(self) -> int:
        """Sequences per call."""
        return self.forward.batch_size

    def block_for(self, rows: int) -> int:
        """Sequences per call: a power of two up to `block`, what memory holds, and about `rows`."""
        # late: it imports TensorFlow
        from fastism_compiler.planning.memory import result_bytes

        scanned = self.forward.ranges.count * (self.forward.letters.count if self.ranges is None else 1)
        fit = int(_SHARE_OF_FREE * free_memory()) // max(scanned * result_bytes(self.forward.selection), 1)
        most = min(fit, self.block, 1 << (rows - 1).bit_length())
        return 1 << (max(most, 1).bit_length() - 1)

    def with_block(self, block: int) -> Programs:
        """The same model, compiled for `block` sequences per call."""
        forward = _compile(self.source, self.settings, self.outputs, self.ranges, block, False)
        return Programs(self.source, self.digest, forward, self.settings, self.outputs, self.keys, self.ranges)

    @cached_property
    def encoding(self) -> Encoding:
        """How the model spells letters."""
        letters, settings = self.forward.letters, self.settings
        type_ = self.forward.inputs.types[self.forward.inputs.sequence]
        tokens = isinstance(letters, Tokens)
        numbers = letters.ids if isinstance(letters, Tokens) else settings.channels or letters.numbers
        return Encoding(find_alphabet(settings.alphabet), type_.extent(1), numbers, tokens, settings.unknown_token)

    @cached_property
    def other_inputs(self) -> dict[str, OtherInput]:
        """The model's other inputs, by name; bfloat16 is kept as float32."""
        inputs, found = self.forward.inputs, {}
        for i, (name, type_) in enumerate(zip(inputs.names, inputs.types, strict=True)):
            if i != inputs.sequence:
                shape = tuple(type_.extent(axis) for axis in range(1, type_.rank))
                tokens = inputs.vocabularies[i] if inputs.vocabularies else None
                found[name] = OtherInput(shape, "float32" if type_.dtype == "bfloat16" else type_.dtype, tokens)
        return found

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """`*out` of each output, selected and reduced."""
        selection = self.forward.selection
        leaves = as_list(selection.pack(selection.samples), self.outputs, self.keys)
        # of models that are scored by themselves, the first one's
        return {o.name: tuple(y.shape[1:]) for o, y in zip(self.outputs, leaves, strict=False)}

    @property
    def numbers(self) -> dict[str, list[list[int] | None]]:
        """For each output that is scored in part: their indices in the model's output (see `numbers_along`)."""
        if self.settings.reduce is not None:
            return {}
        found = {o.name: numbers_along(o.index or ()) for o in self.outputs}
        return {name: along for name, along in found.items() if along}

    @cached_property
    def reverse(self) -> tuple[CompiledISM, list[int]]:
        """The program for reverse complements, and the place of each change range in it."""
        length = self.encoding.length
        ranges = self.ranges or [(i, i + 1) for i in range(length)]
        mirrored = [(length - end, length - start) for start, end in ranges]
        if set(mirrored) == set(ranges):
            return self.forward, [ranges.index(r) for r in mirrored]
        return _compile(self.source, self.settings, self.outputs, mirrored, self.block, False), list(range(len(ranges)))

    def inputs(self, codes: Codes, others: Mapping[str, Array]) -> Any:
        """A block's sequences and other inputs in the form that the programs take."""
        spec = self.forward.inputs
        x = self.encoding.encode(codes)
        return spec.pack([x if i == spec.sequence else others[name] for i, name in enumerate(spec.names)])

    def flat(self, result: Any) -> list[Array]:
        """What a program returned, one array per output; of models that are scored by themselves, one after another."""
        return [np.asarray(y) for y in as_list(result, self.outputs, self.keys)]

    def by_letter(self, values: list[Array]) -> list[Array]:
        """Results `[b, P, C, *out]` with their letters in the order of the alphabet."""
        if self.encoding.tokens or self.settings.channels is None:
            return values
        return [y[:, :, list(self.settings.channels)] for y in values]

    @property
    def rescored(self) -> int:
        """Rows so far that the model itself scored."""
        others = [self.reverse[0]] if "reverse" in self.__dict__ and self.reverse[0] is not self.forward else []
        return sum(p.rescored for p in [self.forward, *others])


def compile_programs(model: Any, settings: Settings, block: int | None = None, verify: bool = False) -> Programs:
    """Compile a model for a run.

    Args:
        model: a Keras model, or a path to one.
        settings: of the run.
        block: sequences per call; None: by memory.
        verify: compare a few ranges with naive ISM first.

    Raises:
        ModelError, OptionError, InputError, RangeError: what `compile` refuses; ModelError also for a file that
            changes while it is read.
        OptionError: a module or class of the user that cannot be imported; an alphabet with another number of letters
            than the model has channels.
    """
    check_backend()
    settings.check()
    source, digest = _read(model, settings)
    names, keys = _outputs_of_a_model(source, settings)
    outputs = choose_outputs(settings.outputs, names)
    _check_channels(source, settings)
    ranges = settings.change_ranges(_sequence_type(source).extent(1))
    program = _compile(source, settings, outputs, ranges, block, verify)
    programs = Programs(source, digest, program, settings, outputs, keys, ranges)
    _check_letters(programs)
    return programs


def _outputs_of_a_model(source: SourceModel, settings: Settings) -> tuple[list[str], list[Any]]:
    """Names of the outputs, and their keys in the nest; of models that are scored by themselves, the first one's."""
    # TensorFlow is imported late: the command line reads these modules, and starts without it. It brings Keras along
    from fastism_compiler.frontend.nest import keys_of

    nest, names = source.nest, list(source.output_names)
    if settings.apart:
        nest, names = nest[0], [name.removesuffix("_0") for name in names[: len(names) // settings.models]]
    keys = keys_of(nest)
    return (names, list(range(len(names)))) if keys is None else ([str(key) for key in keys], keys)


def _read(model: Any, settings: Settings) -> tuple[SourceModel, dict[str, str]]:
    """A model as its frontend reads it, and the digest of the very bytes that it was loaded from.

    Raises:
        ModelError: the file changed meanwhile, under a frontend that does not say what it read; or see `read_model`.
    """
    # late, as above
    from fastism_compiler.frontend.registry import read_model
    from fastism_compiler.frontend.source import ReadOptions

    is_file = isinstance(model, str | os.PathLike) and os.path.isfile(model)
    before = model_digest(model) if is_file else None
    path = os.fspath(model) if isinstance(model, os.PathLike) else model
    custom = load_custom(settings.imports, settings.custom)
    letters = len(find_alphabet(settings.alphabet).letters) if settings.channels is None else None
    combine = None if settings.apart else settings.combine
    several = Ensemble((path, *settings.also), combine) if settings.also else path
    source = read_model(several, ReadOptions(settings.seq_input, settings.length, custom, settings.safe_mode, letters))
    if source.sha256:
        return source, {"name": _name(model, source, settings), "sha256": source.sha256}
    if settings.also:
        raise ModelError("also= combines models that are read from files", expected="a path", got=type(model).__name__)
    digest = model_digest(model)
    if before not in (None, digest):
        raise ModelError("the model file changed while it was read; start again", got=os.fspath(model))
    return source, digest


def _name(model: Any, source: SourceModel, settings: Settings) -> str:
    """Of a model, or of several: their file names."""
    named = isinstance(model, str | os.PathLike)
    return " + ".join([Path(model).name if named else source.name, *(Path(also).name for also in settings.also)])


def _compile(
    source: SourceModel,
    settings: Settings,
    outputs: list[Output],
    ranges: Ranges | None,
    block: int | None,
    verify: bool,
) -> CompiledISM:
    # late, as above
    from fastism_compiler.compiler import compile_source
    from fastism_compiler.options import CompileOptions

    tokens, letters = _reads_tokens(source), find_alphabet(settings.alphabet).letters
    channels = settings.channels or ()
    if channels and not tokens:
        # the program has its letters in the order of the channels; `by_letter` puts its results in the alphabet's
        letters = "".join(letters[channels.index(i)] for i in range(len(channels)))
    apart = settings.models if settings.apart else 1
    own = len(source.output_names) // apart
    options = CompileOptions(
        ranges=ranges,
        stop_at=settings.stop_at,
        # chosen by number even where all are wanted: results then stay float32 in a model of narrower outputs
        outputs={number * own + o.number: o.index for number in range(apart) for o in outputs},
        reduce=None if settings.reduce is None else reduction(settings.reduce),
        channels=channels if channels and tokens else None,
        alphabet=letters,
        batch_size=block or settings.batch_size,
        runtime=settings.runtime,
        verify=verify,
    )
    return compile_source(source, options)


def _check_channels(source: SourceModel, settings: Settings) -> None:
    """Refuse `channels` that do not name one channel, or token, per letter."""
    channels, letters = settings.channels, find_alphabet(settings.alphabet).letters
    if channels is None:
        return
    each = sorted(channels) == list(range(len(letters)))
    if len(channels) != len(letters) or not (each or _reads_tokens(source)):
        raise OptionError("channels= names one channel (or token) per letter", expected=letters, got=channels)


def _reads_tokens(source: SourceModel) -> bool:
    return _sequence_type(source).rank == 2


def _sequence_type(source: SourceModel) -> TensorType:
    return source.inputs.types[source.inputs.sequence]


def _check_letters(programs: Programs) -> None:
    encoding = programs.encoding
    letters, spec = encoding.alphabet.letters, programs.forward.inputs
    type_ = spec.types[spec.sequence]
    if encoding.tokens and encoding.unknown_token is not None:
        spec.check_tokens(np.array([encoding.unknown_token]))
    count = len(encoding.numbers) if encoding.tokens else type_.extent(2)
    if count != len(letters) or len(encoding.numbers) != len(letters):
        what = "token" if encoding.tokens else "channel"
        advice = " (channels= says which token each letter is)" if encoding.tokens else ""
        raise OptionError(
            f"the model has one {what} per letter of the alphabet{advice}",
            expected=f"{len(letters)} for {encoding.alphabet.name} ({letters})",
            got=f"{count} in input {spec.names[spec.sequence]!r}",
        )
