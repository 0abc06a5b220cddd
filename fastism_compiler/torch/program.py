"""`from_torch`: a PyTorch module compiled, which takes and gives torch tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from fastism_compiler.compiled import CompiledISM
from fastism_compiler.compiler import compile
from fastism_compiler.errors import VerificationError
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.results.blocks import ScoreBlock
from fastism_compiler.torch.export import export_module

_RTOL = 1e-4
"""Maximum difference between a module and its exported model, relative to the largest output."""


class TorchISM:
    """A PyTorch module compiled for in-silico mutagenesis. Made by `from_torch`.

    All other attributes are those of the program: `plan`, `verify`, `export`, `ranges`, ...

    Attributes:
        program: the compiled program, which takes and gives numpy arrays.
    """

    def __init__(self, program: CompiledISM) -> None:
        self.program = program

    def __getattr__(self, name: str) -> Any:
        """An attribute of the program."""
        if name == "program":  # a copy whose attributes are not set yet
            raise AttributeError(name)
        return getattr(self.program, name)

    def __call__(self, *inputs: torch.Tensor, replace_with: Any = 0, delta: bool = False) -> Any:
        """The module's outputs with each change range replaced: `[B, R, *out]` (sequences, ranges).

        Args:
            inputs: what the module takes.
            replace_with: as in `Program.__call__`; letters on the last axis, whatever the module's layout.
            delta: return mutant - reference.

        Raises:
            FastISMError: as `Program.__call__`.
        """
        return _to_torch(self.program(_to_numpy(inputs), _as_array(replace_with), delta))

    def saturate(self, *inputs: torch.Tensor, delta: bool = False) -> Any:
        """The module's outputs for every letter at every width-1 range: `[B, R, C, *out]`.

        Args:
            inputs: what the module takes.
            delta: return mutant - reference.

        Raises:
            FastISMError: as `Program.saturate`.
        """
        return _to_torch(self.program.saturate(_to_numpy(inputs), delta))

    def variants(self, *inputs: torch.Tensor, variants: Sequence[tuple[int, int, Any]], delta: bool = False) -> Any:
        """The module's outputs for listed substitutions: `[N, *out]`.

        Args:
            inputs: what the module takes.
            variants: as in `Program.variants`.
            delta: return mutant - reference.

        Raises:
            FastISMError: as `Program.variants`.
        """
        return _to_torch(self.program.variants(_to_numpy(inputs), variants, delta))

    def stream(self, *inputs: torch.Tensor, **options: Any) -> Iterator[ScoreBlock]:
        """The same scores block by block, as numpy arrays: see `Program.stream`."""
        return self.program.stream(_to_numpy(inputs), **options)

    def reference(self, *inputs: torch.Tensor) -> Any:
        """The module's outputs for the sequences themselves: `[B, *out]`."""
        return _to_torch(self.program.reference(_to_numpy(inputs)))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.program.name!r}: {self.program.ranges.count} ranges>"


def from_torch(module: torch.nn.Module, *example: torch.Tensor, **options: Any) -> TorchISM:
    """Compile a PyTorch module into an in-silico mutagenesis program.

    It is exported to ONNX in inference mode (by torch.export, or by the older exporter if that fails) and compiled. Its
    weights become constants of the program: compile again after training.

    Args:
        module: the module. It is left as it is.
        example: what it takes, sequences first: one sequence is enough. Sequences are `[B, letters, length]`,
            `[B, length, letters]`, or integer tokens `[B, length]`.
        options: those of `compile`: `seq_input`, `ranges`, `outputs`, `reduce`, `precision`, ...

    Returns:
        The program.

    Raises:
        UnsupportedError: PyTorch cannot export the module, or something in it cannot be compiled, by name.
        VerificationError: the exported model, or the program, computes something else than the module.
        FastISMError: options that do not fit the module, as `compile`.
    """
    example = tuple(x.detach().cpu() for x in example)
    proto = export_module(module, example)
    program = TorchISM(compile(proto, **options))
    _check(module, program, example)
    return program


def _check(module: torch.nn.Module, program: TorchISM, example: Sequence[torch.Tensor]) -> None:
    """Compare the exported model with the module, on several sequences: a branch on values may be exported one way.

    Raises:
        VerificationError: they differ.
    """
    position = program.program.inputs.sequence
    sequence = example[position][:1]
    others = (torch.zeros_like(sequence), sequence.flip(-1), sequence.roll(1, dims=-1))
    for changed in (sequence, *others):
        given = [changed if i == position else x[:1] for i, x in enumerate(example)]
        _check_one(module, program, given)


def _check_one(module: torch.nn.Module, program: TorchISM, given: Sequence[torch.Tensor]) -> None:
    exported = program.program.naive(program.program.inputs.read(_to_numpy(given)))
    expected = [y.numpy() for y in flat_outputs(run(module, given))]
    for number, (y, z) in enumerate(zip(exported, expected, strict=True)):
        error, largest = float(np.abs(y - z).max(initial=0)), float(np.abs(z).max(initial=0))
        if not error <= _RTOL * largest:
            raise VerificationError(
                "the model that PyTorch exports computes something else than the module",
                expected=f"output {number} within {_RTOL:g} of the largest value ({largest:.3g})",
                got=f"a difference of {error:.3g}",
            )


def run(module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> Any:
    """Run the module in inference mode on its own device; the outputs are copied to the CPU."""
    before = [(part, part.training) for part in module.modules()]
    device = next((p.device for p in (*module.parameters(), *module.buffers())), torch.device("cpu"))
    module.eval()
    try:
        with torch.no_grad():
            return _mapped(lambda y: y.detach().cpu(), module(*(x.to(device) for x in inputs)))
    finally:
        for part, training in before:
            part.training = training


def flat_outputs(outputs: Any) -> list[torch.Tensor]:
    """Tensors of a nest in order."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    values = outputs.values() if isinstance(outputs, Mapping) else outputs
    return [y for value in values for y in flat_outputs(value)]


def _mapped(function: Any, outputs: Any) -> Any:
    if isinstance(outputs, torch.Tensor):
        return function(outputs)
    if isinstance(outputs, Mapping):
        return {name: _mapped(function, y) for name, y in outputs.items()}
    return [_mapped(function, y) for y in outputs]


def _to_numpy(inputs: Sequence[torch.Tensor]) -> Any:
    """What the program takes; tensors on the CPU are not copied."""
    arrays = [np.asarray(x.detach().cpu()) if isinstance(x, torch.Tensor) else x for x in inputs]
    return arrays[0] if len(arrays) == 1 else arrays


def _as_array(replace_with: Any) -> Any:
    if isinstance(replace_with, list | tuple):
        return type(replace_with)(_as_array(x) for x in replace_with)
    return np.asarray(replace_with.detach().cpu()) if isinstance(replace_with, torch.Tensor) else replace_with


def _to_torch(results: Any) -> Any:
    """Results as tensors, which share the memory of the arrays."""
    if isinstance(results, Mapping):
        return {name: _to_torch(y) for name, y in results.items()}
    if isinstance(results, list | tuple):
        return [_to_torch(y) for y in results]
    array: Array = results
    return torch.from_numpy(array)
