"""Effects of substitutions, deletions and insertions, with the arguments and results of tangermeme's functions.

Tried with tangermeme 1.6.0. Substitutions run in windows, and examples that are equal share one reference; a deletion
or an insertion shifts what lies behind it, so whole sequences are predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from fastism_compiler.errors import InputError, UnsupportedError
from fastism_compiler.torch.program import TorchISM, flat_outputs, run
from fastism_compiler.torch.saturation import Followed, check_options, program_of

Array = npt.NDArray[Any]
_BATCH = 32


class PerturbationResult(NamedTuple):
    """Outputs before and after.

    Attributes:
        y_before: of the sequences as they were, `[N, *out]`; a list where the model gives several.
        y_after: of the changed sequences.
    """

    y_before: Any
    y_after: Any


def substitution_effect(
    model: torch.nn.Module | TorchISM,
    X: torch.Tensor,  # noqa: N803 (the name that callers give)
    substitutions: torch.Tensor | Array,
    args: Sequence[torch.Tensor] | None = None,
    func: Callable[..., Any] | None = None,
    additional_func_kwargs: dict[str, Any] | None = None,
    **kwargs: Any,
) -> PerturbationResult:
    """Outputs before and after substitutions; all of one example are made together.

    Args:
        model: a module, which is compiled on the first call (see `saturation_mutagenesis`), or a `TorchISM`.
        X: one-hot sequences `[N, letters, length]`; examples that are equal are computed once.
        substitutions: `[K, 3]`: example, position, letter.
        args: further inputs of the module, `[N, ...]` each.
        func: applied to the sequences before and after in place of prediction: `func(model, X, args=args, ...)`.
        additional_func_kwargs: further arguments of `func`.
        kwargs: of prediction, as `additional_func_kwargs` without a `func`: `batch_size`, `func` (applied to the
            module's outputs), `verbose`, `dtype`, `device`; or further arguments of `func`.

    Returns:
        Outputs, on the CPU.

    Raises:
        InputError: sequences or substitutions of a wrong shape, outside the sequences, or two at one position.
        OptionError: another `dtype` or `device`.
        FastISMError: as `from_torch`.
    """
    sequences = _floats(X, args)
    edits = _rows(substitutions, 3, sequences)
    if len(np.unique(edits[:, :2], axis=0)) < len(edits):
        raise InputError("one substitution at a position", expected="pairs of example and position, each once")
    changed = sequences.clone()
    example, position, letter = (torch.from_numpy(column) for column in edits.T)
    changed[example, :, position] = 0
    changed[example, letter, position] = 1
    if func is not None:
        return _applied(func, model, (X, changed.to(X.dtype)), args, additional_func_kwargs, kwargs)
    batch, function = _prediction(kwargs, additional_func_kwargs)
    first, same, given = _distinct(sequences, tuple(args or ()))
    program, outputs = program_of(model, (first, *given), 0, sequences.shape[-1], batch, function)
    before = [y[same] for y in outputs]
    after = [y.clone() for y in before]
    rows, variants = _variants(edits, changed, same)
    if variants:
        for y, found in zip(after, flat_outputs(program.variants(first, *given, variants=variants)), strict=True):
            y[rows] = found
    return PerturbationResult(_single(before), _single(after))


def deletion_effect(
    model: torch.nn.Module | TorchISM,
    X: torch.Tensor,  # noqa: N803 (as above)
    deletions: torch.Tensor | Array,
    left: bool = False,
    args: Sequence[torch.Tensor] | None = None,
    func: Callable[..., Any] | None = None,
    additional_func_kwargs: dict[str, Any] | None = None,
    **kwargs: Any,
) -> PerturbationResult:
    """Outputs before and after deletions.

    Args:
        model: a module or a `TorchISM`.
        X: one-hot sequences, longer than the model takes by the most deletions of one example.
        deletions: `[K, 2]`: example, position.
        left: cut both sequences to the model's length on the left, not on the right.
        args: as in `substitution_effect`.
        func: as there.
        additional_func_kwargs: as there.
        kwargs: as there.

    Returns:
        Outputs, on the CPU.

    Raises:
        InputError: as `substitution_effect`; nothing is left of an example.
    """
    sequences = _floats(X, args)
    edits = _rows(deletions, 2, sequences)
    kept = np.ones((len(sequences), sequences.shape[-1]), bool)
    kept[edits[:, 0], edits[:, 1]] = False
    length = int(kept.sum(-1).min())
    if not length:
        raise InputError("a deletion leaves a part of the sequence", expected="at least one position", got="none")
    part = slice(-length, None) if left else slice(length)
    places = np.stack([np.flatnonzero(row)[part] for row in kept])
    after = torch.stack([x[:, row] for x, row in zip(sequences, torch.from_numpy(places), strict=True)])
    return _effect(model, (sequences[..., part], after), X.dtype, args, func, additional_func_kwargs, kwargs)


def insertion_effect(
    model: torch.nn.Module | TorchISM,
    X: torch.Tensor,  # noqa: N803 (as above)
    insertions: torch.Tensor | Array,
    left: bool = False,
    args: Sequence[torch.Tensor] | None = None,
    func: Callable[..., Any] | None = None,
    additional_func_kwargs: dict[str, Any] | None = None,
    **kwargs: Any,
) -> PerturbationResult:
    """Outputs before and after insertions.

    Args:
        model: a module or a `TorchISM`.
        X: one-hot sequences of the model's length.
        insertions: `[K, 3]`: example, position, letter, put in front of what stands there; of several at one position,
            the last one given comes first.
        left: cut what is too long on the left, not on the right.
        args: as in `substitution_effect`.
        func: as there.
        additional_func_kwargs: as there.
        kwargs: as there.

    Returns:
        Outputs, on the CPU.

    Raises:
        InputError: as `substitution_effect`.
    """
    sequences = _floats(X, args)
    edits = _rows(insertions, 3, sequences)[::-1]
    edits = edits[np.argsort(edits[:, 1], kind="stable")]
    length, letters = sequences.shape[-1], np.eye(sequences.shape[1], dtype=np.float32)
    longer = [
        np.insert(x, own[:, 1], letters[own[:, 2]].T, axis=1)
        for number, x in enumerate(sequences.numpy())
        for own in [edits[edits[:, 0] == number]]
    ]
    after = torch.from_numpy(np.stack([x[:, -length:] if left else x[:, :length] for x in longer]))
    return _effect(model, (sequences, after), X.dtype, args, func, additional_func_kwargs, kwargs)


def _rows(edits: Any, columns: int, sequences: torch.Tensor) -> npt.NDArray[np.int64]:
    """Edits `[K, columns]`: example, position and, of three columns, letter."""
    given = edits.detach().cpu().numpy() if isinstance(edits, torch.Tensor) else np.asarray(edits)
    if given.ndim != 2 or given.shape[1] != columns:
        raise InputError("edits have a row each", expected=f"[edits, {columns}]", got=list(given.shape))
    if not np.array_equal(given, given.astype(np.int64)):
        raise InputError("edits are whole numbers", got=given[(given != given.astype(np.int64)).any(-1)][0].tolist())
    most = [sequences.shape[axis] for axis in (0, 2, 1)][:columns]
    rows: npt.NDArray[np.int64] = given.astype(np.int64)
    outside = np.flatnonzero(((rows < 0) | (rows >= most)).any(-1))
    if len(outside):
        raise InputError(
            "an edit names an example, a position and a letter that exist", expected=f"less than {most}",
            got=rows[outside[0]].tolist(),
        )  # fmt: skip
    return rows


def _distinct(sequences: torch.Tensor, given: Sequence[torch.Tensor]) -> tuple[torch.Tensor, Array, list[torch.Tensor]]:
    """Examples that differ, which of them each example is, and their other inputs."""
    flat = np.concatenate([x.detach().cpu().numpy().reshape(len(sequences), -1) for x in (sequences, *given)], axis=1)
    _, first, same = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    return sequences[first], same.reshape(-1), [x.detach().cpu()[first] for x in given]


def _variants(edits: Array, changed: torch.Tensor, same: Array) -> tuple[Array, list[tuple[int, int, Array]]]:
    """Examples that are changed, and each as one variant, from its first to its last substitution."""
    rows = np.unique(edits[:, 0])
    variants = []
    for row in rows.tolist():
        positions = edits[edits[:, 0] == row, 1]
        first, last = int(positions.min()), int(positions.max())
        variants.append((int(same[row]), first, changed[row, :, first : last + 1].T.numpy()))
    return rows, variants


def _effect(
    model: Any,
    both: tuple[torch.Tensor, torch.Tensor],
    dtype: torch.dtype,
    args: Any,
    func: Any,
    more: Any,
    kwargs: Any,
) -> PerturbationResult:
    """The outputs for two batches of whole sequences."""
    if func is not None:
        return _applied(func, model, (both[0].to(dtype), both[1].to(dtype)), args, more, kwargs)
    batch, function = _prediction(kwargs, more)
    before, after = (_predicted(model, (x, *(args or ())), batch, function) for x in both)
    return PerturbationResult(before, after)


def _applied(
    func: Callable[..., Any], model: Any, both: Sequence[torch.Tensor], args: Any, more: Any, kwargs: Any
) -> PerturbationResult:
    before, after = (func(model, x, args=args, **(more or {}), **kwargs) for x in both)
    return PerturbationResult(before, after)


def _predicted(model: Any, inputs: Sequence[torch.Tensor], batch: int, function: Any) -> Any:
    if isinstance(model, TorchISM) and function is not None:
        raise UnsupportedError("func= needs a module, not a program", expected="from_torch of a module with func")
    pieces = [[x[begin : begin + batch] for x in inputs] for begin in range(0, len(inputs[0]), batch)]
    if isinstance(model, TorchISM):
        outputs = [flat_outputs(model.reference(*piece)) for piece in pieces]
    else:
        module = model if function is None else Followed(model, function)
        outputs = [flat_outputs(run(module, piece)) for piece in pieces]
    return _single([torch.cat(parts) for parts in zip(*outputs, strict=True)])


def _prediction(kwargs: dict[str, Any], more: dict[str, Any] | None) -> tuple[int, Any]:
    """The arguments of prediction: `batch_size` and `func`; others must be what programs do.

    Raises:
        OptionError: another `dtype` or `device`.
        UnsupportedError: an argument that has no counterpart here.
    """
    options = {**kwargs, **(more or {})}
    check_options(options.pop("dtype", None), options.pop("device", None))
    options.pop("verbose", None)
    batch, function = int(options.pop("batch_size", _BATCH)), options.pop("func", None)
    if options:
        raise UnsupportedError("an argument of prediction that has no counterpart here", got=sorted(options)[0])
    return batch, function


def _floats(x: torch.Tensor, args: Sequence[torch.Tensor] | None) -> torch.Tensor:
    """The sequences in float32, on the CPU, as they are.

    Raises:
        InputError: no `[N, letters, length]`, none at all, or another input of other examples.
    """
    if x.ndim != 3 or not len(x):
        raise InputError("sequences are [N, letters, length]", expected="at least one", got=list(x.shape))
    for given in args or ():
        if len(given) != len(x):
            raise InputError("args= has an entry for each example", expected=len(x), got=len(given))
    return x.detach().cpu().to(torch.float32)


def _single(outputs: list[torch.Tensor]) -> Any:
    return outputs[0] if len(outputs) == 1 else outputs
