"""`design`: greedy and beam search over single substitutions, each step one saturation."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastism_compiler.arguments import flag, instance, or_none, whole
from fastism_compiler.arguments import path as path_argument
from fastism_compiler.compiled import CompiledISM
from fastism_compiler.errors import UnsupportedError
from fastism_compiler.evolution.front import Checkpoint, Front
from fastism_compiler.evolution.path import Design, Path, Step
from fastism_compiler.ir.errors import OptionError, RangeError
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.runtime.program import Program
from fastism_compiler.runtime.progress import track

_SAME = 1e-2
"""Difference up to which a score that is computed again is the same, as a share of the largest score."""
_ROUNDING = 8
"""Differences of so many last bits are rounding."""


def design(
    program: Program,
    x: Any,
    objective: Callable[[Any], Any] | None = None,
    steps: int = 10,
    *,
    protected: Sequence[int] | Sequence[bool] = (),
    beam: int = 1,
    maximise: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
) -> list[Design]:
    """Change sequences letter by letter, each time in the way that the model scores best.

    A step scores every letter at every position of every sequence that is followed. A sequence is finished where no
    substitution improves its best score.

    Args:
        program: compiled for every position (the default of `compile`), or for single positions that may change.
        x: the sequences to begin with, in any form that the program takes.
        objective: a function of the program's outputs that gives one number per sequence, made of `keras.ops`, as
            `reduce=` of `compile`; the model is compiled with it once more. None: the program's one output.
        steps: most substitutions.
        protected: positions that stay as they are: their numbers, or a flag for every position.
        beam: sequences that are followed at once, the best of all candidates; 1 is greedy search.
        maximise: look for high scores; False: for low ones.
        checkpoint: a file that is written after every step. The same call goes on where it was.

    Returns:
        A `Design` for each sequence.

    Raises:
        OptionError: an objective of several numbers, nothing that may change, or a checkpoint of another design.
        RangeError: a program of wider ranges; a protected position outside the sequence.
        UnsupportedError: an objective for a program that was loaded from a file; outputs that `fc.around` picks.
        InputError, InputTypeError: as in a call of the program.
    """
    steps, maximise = whole("steps", steps, 1), flag("maximise", maximise)
    inner = getattr(program, "program", program)  # of a PyTorch module's program
    given = instance("program", inner, Program)
    scored = given if objective is None else _reduced(given, objective)
    search = _Search.of(scored, x, protected, whole("beam", beam, 1), maximise)
    file = or_none(path_argument)("checkpoint", checkpoint)
    kept = None if file is None else Checkpoint(file, search.digest)
    fronts = search.begin(None if kept is None else kept.read())
    for _ in track(range(max(len(path.steps) for front in fronts for path in front.paths), steps), "steps"):
        if all(front.finished for front in fronts):
            break
        search.advance(fronts)
        if kept is not None:
            kept.write(fronts)
    return [search.design(number, front) for number, front in enumerate(fronts)]


def _reduced(program: Program, objective: Callable[[Any], Any]) -> Program:
    if not isinstance(program, CompiledISM):
        raise UnsupportedError(
            "an objective is compiled into the program of a model",
            expected="a program that compile returned; or one exported with reduce=, and no objective",
            got=repr(program),
        )
    return program.reduced(objective)


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """What a design is asked for.

    Attributes:
        program: its one output is the objective.
        arrays: the inputs, `[B, ...]` each.
        free: `[R]`, the ranges of the program whose position may change.
        beam: sequences that are followed of each.
        sign: 1 to maximise, -1 to minimise.
    """

    program: Program
    arrays: list[Array]
    free: npt.NDArray[np.bool_]
    beam: int
    sign: int

    @classmethod
    def of(cls, program: Program, x: Any, protected: Any, beam: int, maximise: bool) -> _Search:
        """Check what is asked for.

        Raises:
            OptionError, RangeError, InputError, InputTypeError: see `design`.
        """
        samples = program.selection.samples
        if any(frame is not None for frame in program.selection.frames):
            raise UnsupportedError("an objective needs whole outputs", expected="outputs= without fc.around")
        if len(samples) != 1 or np.prod(samples[0].shape[1:]) != 1:
            raise OptionError(
                "a design needs one number per sequence",
                expected="objective=, such as lambda y: keras.ops.mean(y, axis=-1)",
                got=[(name, list(y.shape[1:])) for name, y in zip(program.selection.names, samples, strict=True)],
            )
        arrays = program.read_inputs(x)
        length = arrays[program.inputs.sequence].shape[1]
        free = ~_flags(protected, length)[program.ranges.lo]
        if not free.any():
            raise OptionError("no position may change", expected="a position that is not protected", got="none")
        return cls(program, arrays, free, beam, 1 if maximise else -1)

    @property
    def digest(self) -> str:
        """Of what is asked for, without the model and the number of steps."""
        total = hashlib.sha256(
            f"{self.beam} {self.sign} {self.free.tolist()} {self.program.ranges.lo.tolist()}".encode()
        )
        for x in self.arrays:
            total.update(np.ascontiguousarray(x).tobytes())
        return total.hexdigest()

    def begin(self, kept: list[Front] | None) -> list[Front]:
        """The given sequences; or where a checkpoint was.

        Raises:
            OptionError: the model, or the objective, scores the sequences of the checkpoint otherwise.
        """
        if kept is None:
            scores = self._scores([(number, Path(0.0)) for number in range(len(self.arrays[0]))])
            return [Front([Path(score)], Path(score)) for score in scores]
        paths = [(number, path) for number, front in enumerate(kept) for path in front.paths]
        if len(kept) != len(self.arrays[0]) or not all(front.paths for front in kept):
            raise OptionError("the checkpoint is damaged", expected=f"{len(self.arrays[0])} sequences", got=len(kept))
        self._check_steps([*(path for _, path in paths), *(front.best for front in kept)])
        stored, now = np.array([path.score for _, path in paths]), np.array(self._scores(paths))
        largest = np.abs(stored[np.isfinite(stored)]).max(initial=0)
        same = np.isclose(now, stored, rtol=0, atol=_SAME * largest, equal_nan=True)
        if not same.all():
            first = int(np.flatnonzero(~same)[0])
            raise OptionError(
                "the checkpoint is of another model or objective",
                expected=f"a score of {stored[first]:.6g}",
                got=f"{now[first]:.6g}",
            )
        return kept

    def _check_steps(self, paths: Iterable[Path]) -> None:
        """Refuse steps that this program cannot have taken.

        Raises:
            OptionError: a position or a letter that it does not have.
        """
        positions, letters = set(self.program.ranges.lo.tolist()), range(self.program.letters.count)
        for path in paths:
            for step in path.steps:
                if step.position not in positions or step.letter not in letters:
                    raise OptionError(
                        "the checkpoint is damaged", expected="positions and letters of the program", got=step
                    )

    def advance(self, fronts: list[Front]) -> None:
        """One more substitution in every sequence that is followed and not finished."""
        alive = [(number, path) for number, front in enumerate(fronts) if not front.finished for path in front.paths]
        arrays = self._changed(alive)
        values = self._flat(self.program.saturate(self.program.inputs.pack(arrays)))  # [n, R, C]
        merit = np.where(np.isnan(values), -np.inf, self.sign * values)
        merit[~self._allowed(arrays[self.program.inputs.sequence])] = -np.inf
        for number, front in enumerate(fronts):
            rows = [row for row, (owner, _) in enumerate(alive) if owner == number]
            if rows:
                self._follow(front, merit[rows])

    def _follow(self, front: Front, merit: npt.NDArray[Any]) -> None:
        """Follow the best candidates of one sequence; `merit` is `[paths, R, C]`, larger is better."""
        flat = merit.ravel()
        most = min(self.beam * len(front.paths), flat.size)  # each sequence is reached from every path at most once
        best = np.argpartition(-flat, most - 1)[:most]
        found: dict[frozenset[tuple[int, int]], Path] = {}
        for place in best[np.argsort(-flat[best], kind="stable")]:
            if len(found) == self.beam or flat[place] == -np.inf:
                break
            k, r, letter = (int(i) for i in np.unravel_index(place, merit.shape))
            step = Step(int(self.program.ranges.lo[r]), letter, float(self.sign * flat[place]))
            path = front.paths[k].then(step)
            found.setdefault(path.changed, path)
        paths = list(found.values())
        if not paths or not self._better(paths[0].score, front.best.score):
            front.finished = True
            return
        front.paths, front.best = paths, paths[0]

    def _better(self, new: float, old: float) -> bool:
        """Whether a score is better by more than rounding."""
        dtype = np.asarray(self.program.selection.samples[0]).dtype
        rounding = _ROUNDING * float(np.finfo(dtype).eps) * abs(old) if dtype.kind == "f" else 0.0
        return np.isnan(old) or self.sign * (new - old) > (rounding if np.isfinite(rounding) else 0)

    def design(self, number: int, front: Front) -> Design:
        """The result for one of the given sequences."""
        spec = self.program.inputs
        given = self.arrays[spec.sequence][number]
        made = self._changed([(number, front.best)])
        taken = spec.as_taken(made)[spec.sequence][0]
        before, after = (self._text(x) for x in (given, made[spec.sequence][0]))
        return Design(taken, front.best, before, after, self.program.alphabet, front.finished)

    def _allowed(self, x: Array) -> npt.NDArray[np.bool_]:
        """`[n, R, C]`: positions that may change, to letters that are not there already."""
        letters = self.program.letters
        here = letters.read(x)[:, self.program.ranges.lo]
        allowed: npt.NDArray[np.bool_] = (here[:, :, None] != letters.alone(x.dtype)).any(-1)
        return allowed & self.free[:, None]

    def _changed(self, paths: Sequence[tuple[int, Path]]) -> list[Array]:
        """The inputs `[n, ...]` of `(given sequence, path)` each, with the substitutions of the path."""
        rows = np.array([number for number, _ in paths])
        arrays = [x[rows] for x in self.arrays]
        x = arrays[self.program.inputs.sequence]
        alone = self.program.letters.alone(x.dtype)
        for row, (_, path) in zip(x, paths, strict=True):
            for step in path.steps:
                self.program.letters.write(row[step.position : step.position + 1], alone[[step.letter]])
        return arrays

    def _scores(self, paths: Sequence[tuple[int, Path]]) -> list[float]:
        """Scores as a saturation gives them: by the program, one position replaced by what is there."""
        arrays, spec = self._changed(paths), self.program.inputs
        x, first = arrays[spec.sequence], int(self.program.ranges.lo[0])
        here = self.program.letters.read(x)[:, first : first + 1]
        own = [one[:, 0] if x.ndim == 2 else one for one in here]
        scores = self.program.variants(spec.pack(arrays), [(row, first, letters) for row, letters in enumerate(own)])
        return [float(y) for y in self._flat(scores).reshape(len(paths))]

    def _flat(self, result: Any) -> npt.NDArray[np.float64]:
        """The objective without the axes of its output, of which each has one element."""
        (y,) = self.program.selection.unpack(result)
        axes = np.ndim(self.program.selection.samples[0]) - 1
        values = np.asarray(y, np.float64)
        return values.reshape(values.shape[: values.ndim - axes])

    def _text(self, x: Array) -> str:
        """A sequence as text, `N` for what is no letter; empty if the letters have no names."""
        alphabet, letters = self.program.alphabet, self.program.letters
        if len(alphabet) != letters.count:
            return ""
        same = (letters.read(x)[:, None] == letters.alone(x.dtype)).all(-1)
        return "".join(alphabet[int(row.argmax())] if row.any() else "N" for row in same)


def _flags(protected: Any, length: int) -> npt.NDArray[np.bool_]:
    """The protected positions, a flag for each.

    Raises:
        OptionError: neither numbers nor flags.
        RangeError: a position outside the sequence.
    """
    given = np.asarray(protected)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "biu"):
        raise OptionError("protected= lists positions", expected="numbers, or a flag for each position", got=protected)
    if given.dtype.kind == "b" and given.size:
        if len(given) != length:
            raise RangeError("protected= has a flag for every position", expected=length, got=len(given))
        return given.astype(bool)
    if given.size and not (given.min() >= 0 and given.max() < length):
        raise RangeError("protected positions lie inside the sequence", expected=f"0 .. {length - 1}", got=protected)
    flags = np.zeros(length, bool)
    flags[given.astype(np.int64)] = True
    return flags
