"""The compiled programs of a run, and how its sequences become their inputs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastism_compiler.frontend.backend import check_backend
from fastism_compiler.frontend.custom_code import load_custom
from fastism_compiler.genomics.alphabet import Codes, find_alphabet
from fastism_compiler.genomics.arrays import OtherInput
from fastism_compiler.genomics.encoding import Encoding
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.runs.outputs import Output, as_list, choose_outputs, numbers_along, reduction
from fastism_compiler.runs.settings import Settings

if TYPE_CHECKING:
    from fastism_compiler.compiled import CompiledISM

Array = npt.NDArray[Any]
Ranges = Sequence[tuple[int, int]]


@dataclass
class Programs:
    """A model, compiled for one run.

    Attributes:
        model: the Keras model.
        forward: for the sequences as they are.
        settings: of the run.
        outputs: what is scored, in order.
        keys: the model's outputs as the nest it returns calls them.
        ranges: what is changed; None: every position.
    """

    model: Any
    forward: CompiledISM
    settings: Settings
    outputs: list[Output]
    keys: list[Any]
    ranges: list[tuple[int, int]] | None

    @property
    def block(self) -> int:
        """Sequences per call."""
        return self.forward.batch_size

    @cached_property
    def encoding(self) -> Encoding:
        """How the model spells letters."""
        from fastism_compiler.mutations.letters import Tokens

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
                found[name] = OtherInput(shape, "float32" if type_.dtype == "bfloat16" else type_.dtype)
        return found

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """`*out` of each output, selected and reduced."""
        leaves = as_list(self.forward.selection.structure, self.outputs, self.keys)
        return {o.name: tuple(y.shape[1:]) for o, y in zip(self.outputs, leaves, strict=True)}

    @property
    def numbers(self) -> dict[str, list[list[int] | None]]:
        """What the model calls the numbers of each output of which some are chosen (see `numbers_along`)."""
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
        return _compile(self.model, self.settings, self.outputs, mirrored, self.block, False), list(range(len(ranges)))

    def inputs(self, codes: Codes, others: Mapping[str, Array]) -> Any:
        """A block's sequences and other inputs in the form that the programs take."""
        spec = self.forward.inputs
        x = self.encoding.encode(codes)
        return spec.pack([x if i == spec.sequence else others[name] for i, name in enumerate(spec.names)])

    def flat(self, result: Any) -> list[Array]:
        """What a program returned, one array per output."""
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
        ModelError, OptionError, InputError, RangeError: what `compile` refuses.
        OptionError: a module or class of the user that cannot be imported; an alphabet with another number of letters
            than the model has channels.
    """
    check_backend()
    # only now: these import Keras, and with it another backend
    from fastism_compiler.compiler import find_sequence
    from fastism_compiler.frontend.keras import private
    from fastism_compiler.frontend.keras.lowering import functional_graph
    from fastism_compiler.frontend.loading import load_model

    settings.check()
    custom_objects = load_custom(settings.imports, settings.custom)
    model = load_model(
        os.fspath(model) if isinstance(model, os.PathLike) else model, custom_objects, settings.safe_mode
    )
    function = functional_graph(model)
    structure = private.output_structure(function)
    names = [str(n) for n in private.output_names(function)]
    keys: list[Any] = list(range(len(names)))
    if isinstance(structure, Mapping) and len(structure) == len(names):
        keys = sorted(structure)
        names = [str(k) for k in keys]
    outputs = choose_outputs(settings.outputs, names)
    _check_channels(model, settings)
    length = settings.length or function.inputs[find_sequence(model, settings.seq_input)].shape[1]
    ranges = settings.change_ranges(length) if length else None
    program = _compile(model, settings, outputs, ranges, block, verify)
    programs = Programs(model, program, settings, outputs, keys, ranges)
    _check_letters(programs)
    return programs


def _compile(
    model: Any, settings: Settings, outputs: list[Output], ranges: Ranges | None, block: int | None, verify: bool
) -> CompiledISM:
    from fastism_compiler.compiler import compile

    tokens, letters = _reads_tokens(model, settings), find_alphabet(settings.alphabet).letters
    channels = settings.channels or ()
    if channels and not tokens:
        # the program has its letters in the order of the channels; `by_letter` puts its results in the alphabet's
        letters = "".join(letters[channels.index(i)] for i in range(len(channels)))
    return compile(
        model,
        seq_input=settings.seq_input,
        ranges=ranges,
        stop_at=settings.stop_at,
        # chosen by number even where all are wanted: results then stay float32 in a model of narrower outputs
        outputs={o.number: o.index for o in outputs},
        reduce=None if settings.reduce is None else reduction(settings.reduce),
        length=settings.length,
        channels=channels if channels and tokens else None,
        alphabet=letters,
        batch_size=block or settings.batch_size,
        verify=verify,
    )


def _check_channels(model: Any, settings: Settings) -> None:
    """Refuse `channels` that do not name one channel, or token, per letter."""
    channels, letters = settings.channels, find_alphabet(settings.alphabet).letters
    if channels is None:
        return
    each = sorted(channels) == list(range(len(letters)))
    if len(channels) != len(letters) or not (each or _reads_tokens(model, settings)):
        raise OptionError("channels= names one channel (or token) per letter", expected=letters, got=channels)


def _reads_tokens(model: Any, settings: Settings) -> bool:
    from fastism_compiler.compiler import find_sequence
    from fastism_compiler.frontend.keras.lowering import functional_graph

    return len(functional_graph(model).inputs[find_sequence(model, settings.seq_input)].shape) == 2


def _check_letters(programs: Programs) -> None:
    encoding = programs.encoding
    letters, spec = encoding.alphabet.letters, programs.forward.inputs
    type_ = spec.types[spec.sequence]
    count = len(encoding.numbers) if encoding.tokens else type_.extent(2)
    if count != len(letters) or len(encoding.numbers) != len(letters):
        what = "token" if encoding.tokens else "channel"
        advice = " (channels= says which token each letter is)" if encoding.tokens else ""
        raise OptionError(
            f"the model has one {what} per letter of the alphabet{advice}",
            expected=f"{len(letters)} for {encoding.alphabet.name} ({letters})",
            got=f"{count} in input {spec.names[spec.sequence]!r}",
        )
