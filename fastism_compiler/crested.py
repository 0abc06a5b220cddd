"""The mutagenesis methods of CREsted's `tl.contribution_scores`, on compiled programs.

Arguments and results are those of CREsted 1.10.0, for the methods that score mutants.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastism_compiler.arguments import flag, or_none, several, text, whole
from fastism_compiler.arguments import path as path_argument
from fastism_compiler.compiled import CompiledISM
from fastism_compiler.compiler import compile as compile_model
from fastism_compiler.errors import InputError, UnsupportedError
from fastism_compiler.genomics.alphabet import find_alphabet
from fastism_compiler.genomics.genome import Genome
from fastism_compiler.genomics.sources import Source
from fastism_compiler.host.files import whole_file
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.mutations.spelling import one_hot
from fastism_compiler.results.effects import effect

METHODS = ("mutagenesis", "window_shuffle", "window_shuffle_uniform")
_REGION = re.compile(r"(?P<chrom>[^:]+):(?P<start>[0-9,]{1,18})-(?P<end>[0-9,]{1,18})(?::(?P<strand>[+-]))?")
Array = npt.NDArray[Any]
Classes = tuple[int | None, ...]

_KEPT = 64
"""Programs that are kept for later calls; they keep their models too."""
_SEQUENCES = 16
"""Sequences whose shuffled windows exist at once."""


def contribution_scores(  # noqa: PLR0913 (the arguments are those of another tool)
    input: Any,
    target_idx: int | Sequence[int] | None,
    model: Any,
    method: str = "mutagenesis",
    window_size: int | None = 7,
    n_shuffles: int | None = 24,
    genome: Any = None,
    transpose: bool = False,
    all_class_names: Sequence[str] | None = None,
    batch_size: int = 128,
    output_dir: str | os.PathLike[str] | None = None,
    seed: int | None = 42,
    simplex_correction: bool = False,
    verbose: bool = True,
) -> tuple[npt.NDArray[np.float64], Array]:
    """Contribution scores of every letter, as CREsted's function of this name.

    Args:
        input: a sequence or several, a region (`chr1:100-200`, `chr1:100-200:-`) or several, one-hot `[N, L, 4]`, or
            an AnnData object with regions as its `var_names`.
        target_idx: class or classes to score; `[]`: the norm of all classes; None: every class.
        model: a Keras model with one output `[B, classes]`, or several, whose scores are averaged.
        method: `mutagenesis`: every letter at every position. `window_shuffle`: windows with their letters shuffled.
            `window_shuffle_uniform`: windows of random letters.
        window_size: letters of a window; not for `mutagenesis`.
        n_shuffles: times that each window is drawn; not for `mutagenesis`.
        genome: FASTA file of the regions, or an object with `fetch(region=)`, such as CREsted's `Genome`.
        transpose: return `[N, classes, 4, L]` and `[N, 4, L]`.
        all_class_names: names of the files in `output_dir`, by class.
        batch_size: accepted, and not needed: blocks are chosen by memory.
        output_dir: where to write `NAME_contrib.npz` and `NAME_oh.npz` of each class.
        seed: of the shuffles; the same seed draws the same windows as CREsted does.
        simplex_correction: has no meaning for these methods; a warning says so.
        verbose: accepted: long calls show a progress bar on a terminal in any case.

    Returns:
        Scores `[N, classes, L, 4]`, mutant - sequence, and the sequences one-hot `[N, L, 4]`. For windows, the mean
        over the windows that hold a position, the same for its four letters.

    Raises:
        InputError: an input of another kind, or sequences of several lengths.
        OptionError: a class or window that the model does not have; regions without a genome.
        UnsupportedError: a method that needs gradients.
        FastISMError: as `compile`.
    """
    _check_method(method, simplex_correction)
    transpose, _ = flag("transpose", transpose), (flag("verbose", verbose), whole("batch_size", batch_size, 1))
    seed = or_none(lambda name, value: whole(name, value, 0))("seed", seed)
    folder = or_none(path_argument)("output_dir", output_dir)
    names = or_none(several(text))("all_class_names", all_class_names)
    x = _sequences(input, genome)
    models = list(model) if isinstance(model, list | tuple) else [model]
    if not models:
        raise InputError("at least one model is needed", got="none")
    scores = []
    classes = _classes(target_idx, models[0])
    for one in models:
        if (own := _classes(target_idx, one)) != classes:
            raise InputError("the models have the same classes", expected=classes, got=own)
        if method == "mutagenesis":
            scores.append(_mutagenesis(one, x, classes))
        else:
            width, count = whole("window_size", window_size, 1), whole("n_shuffles", n_shuffles, 1)
            scores.append(_shuffled(one, x, classes, width, count, method.endswith("uniform"), seed))
    mean = np.mean(scores, axis=0)
    if transpose:
        mean, x = mean.transpose(0, 1, 3, 2), x.transpose(0, 2, 1)
    if folder is not None:
        _write(folder, mean, x, classes, names or ())
    return mean, x


def _check_method(method: Any, simplex_correction: Any) -> None:
    if method not in METHODS:
        raise UnsupportedError(
            "contribution scores of mutants only",
            expected=f"one of {list(METHODS)} (crested.tl.contribution_scores has the methods with gradients)",
            got=repr(method),
        )
    if flag("simplex_correction", simplex_correction):
        warnings.warn(f"simplex_correction has no meaning for {method}: ignored", stacklevel=3)


def _classes(target_idx: Any, model: Any) -> Classes:
    """The classes to score; None stands for the norm of all."""
    shape, taken = getattr(model, "output_shape", None), getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 2 or not isinstance(shape[-1], int):
        raise InputError("the model has one output of classes", expected="output_shape (None, classes)", got=shape)
    if not isinstance(taken, tuple) or len(taken) != 3:
        raise InputError("the model takes one-hot sequences alone", expected="input_shape (None, L, 4)", got=taken)
    if target_idx is None:
        return tuple(range(shape[-1]))
    chosen = several(whole)("target_idx", target_idx) if not isinstance(target_idx, int | np.integer) else [target_idx]
    wrong = [i for i in chosen if not -shape[-1] <= i < shape[-1]]
    if wrong or isinstance(target_idx, bool):
        raise OptionError("no such class", expected=f"0 .. {shape[-1] - 1}", got=wrong or target_idx)
    return tuple(int(i) % shape[-1] for i in chosen) or (None,)


@lru_cache(maxsize=_KEPT)
def _program(model: Any, length: int, width: int | None) -> CompiledISM:
    """The program of a model for windows of a width, or for single letters; it follows the model's weights."""
    open_length = length if model.input_shape[1] is None else None
    ranges = None if width is None else [(i, i + width) for i in range(length - width + 1)]
    return compile_model(model, ranges=ranges, length=open_length)


def _mutagenesis(model: Any, x: Array, classes: Classes) -> Array:
    program = _program(model, x.shape[1], None)
    scores = np.zeros((len(x), len(classes), *x.shape[1:]))
    references = _of_classes(program.reference(x), classes)[:, None, None]
    for block in program.stream(x, saturate=True):
        here = effect(_of_classes(block.scores, classes), references[block.sequences])  # [b, r, 4, n]
        scores[block.sequences, :, block.ranges] = np.moveaxis(here, -1, 1)
    return scores


def _shuffled(model: Any, x: Array, classes: Classes, width: int, count: int, uniform: bool, seed: Any) -> Array:
    """The mean over shuffles, and over the windows that hold a position, as scores of its four letters."""
    length = x.shape[1]
    if width > length:
        raise OptionError("a window fits the sequence", expected=f"window_size up to {length}", got=width)
    program = _program(model, length, width)
    scores = np.empty((len(x), len(classes), *x.shape[1:]))
    for begin in range(0, len(x), _SEQUENCES):
        some = x[begin : begin + _SEQUENCES]
        drawn = np.stack([_windows(one, width, count, uniform, seed) for one in some])  # [b, shuffles, R, w, 4]
        total = sum(_of_classes(program(some, drawn[:, k]), classes) for k in range(count))  # [b, R, n]
        means = total / count - _of_classes(program.reference(some), classes)[:, None]
        for position in range(length):
            holding = means[:, max(position - width + 1, 0) : min(position, length - width) + 1]
            scores[begin : begin + _SEQUENCES, :, position] = holding.mean(axis=1)[..., None]
    return scores


def _windows(x: Array, width: int, count: int, uniform: bool, seed: Any) -> Array:
    """The letters of every window, drawn `count` times: `[count, R, width, 4]`, in the order in which CREsted draws."""
    generator = np.random.default_rng(seed)
    letters = np.identity(4, dtype=int)
    starts = range(len(x) - width + 1)
    windows = np.empty((count, len(starts), width, 4), np.float32)
    for k in range(count):
        for start in starts:
            window = x[start : start + width].copy()
            if uniform:
                window = generator.choice(letters, width)
            else:
                generator.shuffle(window, axis=0)
            windows[k, start] = window
    return windows


def _of_classes(outputs: Any, classes: Classes) -> Array:
    """Outputs `[..., classes]` as `[..., n]`, in float64: one class each, or the norm of all."""
    values = np.asarray(outputs, np.float64)
    return np.stack(
        [np.sqrt((values**2).sum(-1)) if index is None else values[..., index] for index in classes], axis=-1
    )


def _sequences(given: Any, genome: Any) -> Array:
    """The sequences, one-hot `[N, L, 4]`.

    Raises:
        InputError, OptionError: see `contribution_scores`.
    """
    if isinstance(given, np.ndarray):
        if given.ndim != 3 or given.shape[2] != 4:
            raise InputError("sequences are one-hot", expected="[N, L, 4]", got=list(given.shape))
        return given
    named = getattr(given, "var_names", None)  # of AnnData
    if named is None and not isinstance(given, str | list | tuple):
        raise InputError("input= is sequences, regions, an array or AnnData", got=type(given).__name__)
    texts = [given] if isinstance(given, str) else list(given if named is None else named)
    if named is None and not all(":" in str(one) for one in texts):
        return one_hot(texts)
    if genome is None:
        raise OptionError("regions lie on a genome", expected="genome=FASTA", got="none")
    if hasattr(genome, "fetch"):
        return one_hot([str(genome.fetch(region=str(region))) for region in texts])
    with Source(path_argument("genome", genome)) as source, Genome(source) as chromosomes:
        return one_hot([_region(str(region), chromosomes) for region in texts])


def _region(region: str, genome: Genome) -> str:
    match = _REGION.fullmatch(region)
    if match is None:
        raise InputError("a region is chrom:start-end, from 0", expected="chr1:100-200 or chr1:100-200:-", got=region)
    chrom, start, end = match["chrom"], *(int(match[name].replace(",", "")) for name in ("start", "end"))
    known = genome.lengths.get(chrom)
    if known is None or not 0 <= start < end <= known:
        expected = f"one of {list(genome.lengths)[:5]}" if known is None else f"0 <= start < end <= {known}"
        raise InputError("the genome has no such region", expected=expected, got=region)
    letters = genome.fetch(chrom, start, end)
    if match["strand"] != "-":
        return letters
    dna = find_alphabet("dna")
    return dna.text(dna.reverse_complement(dna.codes(letters, region)))


def _write(folder: Path, scores: Array, x: Array, classes: Classes, names: Sequence[str]) -> None:
    """Two files for each class."""
    try:
        for i, index in enumerate(classes):
            name = f"class_id_{index}" if index is None or index >= len(names) else names[index]
            for suffix, array in (("contrib", scores[:, i]), ("oh", x)):
                with whole_file(folder / f"{name}_{suffix}.npz") as partial, partial.open("wb") as file:
                    np.savez_compressed(file, array)
    except OSError as error:
        raise OptionError("output_dir= cannot be written", got=error) from error
