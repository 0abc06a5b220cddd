"""Saturation mutagenesis with the arguments and results of tangermeme's function of that name (tried: 1.6.0)."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch

from fastism_compiler.errors import InputError, UnsupportedError
from fastism_compiler.ir.errors import OptionError, RangeError
from fastism_compiler.torch.program import TorchISM, flat_outputs, from_torch, run


class SaturationResult(NamedTuple):
    """Raw outputs.

    Attributes:
        y0: outputs for the sequences themselves, `[B, *out]`; a list where the model gives several.
        y_hat: outputs for every letter at every position, `[B, letters, positions, *out]`.
    """

    y0: Any
    y_hat: Any


def saturation_mutagenesis(  # noqa: PLR0913 (the arguments are those of another tool)
    model: torch.nn.Module | TorchISM,
    X: torch.Tensor,  # noqa: N803 (the name that callers give)
    args: Sequence[torch.Tensor] | None = None,
    start: int = 0,
    end: int = -1,
    batch_size: int = 32,
    target: int | slice | None = None,
    hypothetical: bool = False,
    raw_outputs: bool = False,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    verbose: bool = False,
    func: Callable[[Any], Any] | None = None,
) -> Any:
    """Attributions of each position, from the model's outputs for every substitution; or these outputs.

    A module is compiled on the first call, and again when its weights, the shapes, `start`, `end`, `batch_size` or
    `func` change. Other calls only run the program.

    Args:
        model: a module, or a `TorchISM` of `from_torch`, whose ranges must be the positions `start` to `end`.
        X: one-hot sequences `[B, letters, length]`.
        args: further inputs of the module, sequences first.
        start: first position.
        end: one past the last position; negative numbers count from the end, -1 is the end of the sequence.
        batch_size: maximum number of sequences computed at once; the program may take fewer.
        target: index on the first output axis: the outputs that attributions are averaged over (None: all).
        hypothetical: attributions for all letters, not only for those of the sequence.
        raw_outputs: return `SaturationResult`.
        dtype: None or float32: what programs compute in.
        device: None or cpu; TensorFlow decides where the program runs.
        verbose: ignored: long scans show a progress bar on a terminal.
        func: applied to the model's outputs first; only for a module.

    Returns:
        Attributions `[B, letters, end - start]`, on the CPU: differences from the outputs of the sequence, minus their
        mean over letters, averaged over outputs. With `raw_outputs`, a `SaturationResult`.

    Raises:
        InputError: sequences that are not `[B, letters, length]`; several outputs without `raw_outputs`.
        RangeError: `start` and `end` with no position between them, or outside the sequence; a `TorchISM` of other
            positions.
        OptionError: another `dtype` or `device`.
        UnsupportedError: `func` with a `TorchISM`.
        FastISMError: as `from_torch`.
    """
    check_options(dtype, device)
    sequences, given = _one_hot(X), tuple(args or ())
    stop = _end(start, end, sequences.shape[-1])
    if isinstance(model, TorchISM):
        _check_span(model, start, stop)
    program, y0 = program_of(model, (sequences, *given), start, stop, batch_size, func)
    if len(y0) > 1 and not raw_outputs:
        expected = "func=..., or raw_outputs=True"
        raise InputError("attributions need one output", expected=expected, got=f"{len(y0)} outputs")
    y_hat = [y.transpose(1, 2) for y in flat_outputs(program.saturate(sequences, *given))]
    if raw_outputs:
        return SaturationResult(y0[0], y_hat[0]) if len(y0) == 1 else SaturationResult(y0, y_hat)
    attributions = _attributed(y0[0], y_hat[0], target)
    return attributions if hypothetical else sequences[:, :, start:stop] * attributions


def check_options(dtype: Any, device: Any) -> None:
    """Refuse a precision or a device that programs do not have.

    Raises:
        OptionError: another than float32, or than the CPU.
    """
    if dtype not in (None, torch.float32, "float32"):
        raise OptionError("programs compute in float32", expected="dtype=None or float32", got=dtype)
    if device not in (None, "cpu", torch.device("cpu")):
        raise OptionError("the program runs where TensorFlow runs it", expected="device=None", got=device)


def _one_hot(x: torch.Tensor) -> torch.Tensor:
    """The sequences in float32, on the CPU; fractions are truncated, as in tangermeme.

    Raises:
        InputError: no `[B, letters, length]`.
    """
    if x.ndim != 3:
        raise InputError("sequences are [B, letters, length]", got=list(x.shape))
    if x.is_floating_point() and not torch.equal(x, x.round()):
        warnings.warn("X is not one-hot: fractions are truncated", stacklevel=3)
    return x.detach().cpu().to(torch.int8).to(torch.float32)


def _end(start: int, end: int, length: int) -> int:
    stop = length + 1 + end if end < 0 else end
    if not 0 <= start < stop <= length:
        raise RangeError("no position from start to end", expected=f"0 <= start < end <= {length}", got=(start, end))
    return stop


def _check_span(program: TorchISM, start: int, stop: int) -> None:
    """Refuse a program of other positions than those asked for."""
    ranges = program.ranges
    if ranges.lo.tolist() != list(range(start, stop)) or ranges.hi.tolist() != list(range(start + 1, stop + 1)):
        raise RangeError(
            "the program scores other positions",
            expected=f"one compiled with ranges=[(i, i + 1) for i in range({start}, {stop})]",
            got=f"{ranges.count} ranges between {int(ranges.lo.min())} and {int(ranges.hi.max())}",
        )


def _attributed(y0: torch.Tensor, y_hat: torch.Tensor, target: int | slice | None) -> torch.Tensor:
    """Differences from the sequence's own output, less their mean over letters, averaged over outputs."""
    attributions = y_hat[:, :, :, target] - y0[:, None, None, target]
    attributions = attributions - attributions.mean(dim=1, keepdim=True)
    return attributions.mean(dim=tuple(range(3, attributions.ndim))) if attributions.ndim > 3 else attributions


# Programs of modules


@dataclass(frozen=True)
class _Key:
    """What a module was compiled with: another key needs another program."""

    weights: str
    shapes: tuple[Any, ...]
    span: tuple[int, int]
    batch_size: int
    func: Any


_KEPT: WeakKeyDictionary[torch.nn.Module, tuple[_Key, TorchISM]] = WeakKeyDictionary()
"""The last program of each module."""


class Followed(torch.nn.Module):  # type: ignore[misc] # where PyTorch is not installed
    """A module, and a function of its outputs."""

    def __init__(self, module: torch.nn.Module, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.module, self.function = module, function

    def forward(self, *inputs: torch.Tensor) -> Any:
        """The function of what the module gives."""
        return self.function(self.module(*inputs))


def program_of(
    model: Any, inputs: Sequence[torch.Tensor], start: int, stop: int, batch_size: int, func: Any
) -> tuple[TorchISM, list[torch.Tensor]]:
    """The program of a module (its last one if nothing has changed), and its outputs for the sequences themselves.

    Raises:
        UnsupportedError: `func` with a program.
    """
    if isinstance(model, TorchISM):
        if func is not None:
            raise UnsupportedError("func= needs a module, not a program", expected="from_torch of a module with func")
        return model, flat_outputs(model.reference(*inputs))
    key = _Key(_digest(model), tuple(tuple(x.shape[1:]) for x in inputs), (start, stop), batch_size, _identity(func))
    kept = _KEPT.get(model)
    module = model if func is None else Followed(model, func)
    if kept is not None and kept[0] == key:
        expected = flat_outputs(run(module, [x[:1] for x in inputs]))  # first: TensorFlow's threads are idle
        outputs = flat_outputs(kept[1].reference(*inputs))
        if _are_close(outputs, expected):
            return kept[1], outputs
    ranges = [(i, i + 1) for i in range(start, stop)]
    program = from_torch(module, *(x[:1] for x in inputs), ranges=ranges, batch_size=batch_size)
    _KEPT[model] = key, program
    return program, flat_outputs(program.reference(*inputs))


def _identity(func: Any) -> Any:
    """A key that is equal for functions of the same code, defaults and captured objects (a lambda made again)."""
    code = getattr(func, "__code__", None)
    if code is None:
        return func
    return code, func.__defaults__, tuple(id(cell.cell_contents) for cell in func.__closure__ or ())


def _digest(module: torch.nn.Module) -> str:
    """A digest of the module's structure (its `repr`) and weights."""
    digest = hashlib.sha256(repr(module).encode())
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        if isinstance(value, torch.Tensor):
            digest.update(np.ascontiguousarray(value.detach().cpu()).tobytes())
    return digest.hexdigest()


def _are_close(outputs: list[torch.Tensor], expected: list[torch.Tensor]) -> bool:
    """Whether a program still computes what the module does: the digest does not see a module's plain attributes.

    Args:
        outputs: of the program, for all sequences.
        expected: of the module, for the first.
    """
    pairs = zip(outputs, expected, strict=True)
    return all(torch.allclose(y[:1], z, rtol=1e-3, atol=1e-3 * float(z.abs().max())) for y, z in pairs)
