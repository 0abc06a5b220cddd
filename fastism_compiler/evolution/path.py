"""What a design did: the substitutions, one after the other, and the score after each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastism_compiler.mutations.inputs import Array


@dataclass(frozen=True, slots=True)
class Step:
    """One substitution.

    Attributes:
        position: in the sequence, 0-based.
        letter: the new letter, by its number.
        score: of the whole sequence after it.
    """

    position: int
    letter: int
    score: float


@dataclass(frozen=True, slots=True)
class Path:
    """Substitutions of one sequence.

    Attributes:
        start: score of the sequence that the design began with.
        steps: in order.
    """

    start: float
    steps: tuple[Step, ...] = ()

    @property
    def score(self) -> float:
        """Of the sequence as it is now."""
        return self.steps[-1].score if self.steps else self.start

    @property
    def changed(self) -> frozenset[tuple[int, int]]:
        """Position and letter of every position that was changed, as it is now."""
        return frozenset({step.position: step.letter for step in self.steps}.items())

    def then(self, step: Step) -> Path:
        """This path and one more step."""
        return Path(self.start, (*self.steps, step))

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"start": self.start, "steps": [[s.position, s.letter, s.score] for s in self.steps]}

    @classmethod
    def from_json(cls, data: Any) -> Path:
        """From plain data."""
        return cls(float(data["start"]), tuple(Step(int(p), int(n), float(s)) for p, n, s in data["steps"]))


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """The best sequence that was found, and the way to it.

    Attributes:
        sequence: the designed sequence, as the model takes it: `[L, C]`, or tokens `[L]`.
        path: from the given sequence to this one.
        before: the given sequence as text; empty where the letters have no names.
        after: the designed sequence as text.
        alphabet: the letters, by their numbers.
        finished: whether no single substitution improved it any more.
    """

    sequence: Array
    path: Path
    before: str
    after: str
    alphabet: str
    finished: bool

    @property
    def scores(self) -> Sequence[float]:
        """The score of the given sequence, then after each step."""
        return [self.path.start, *(step.score for step in self.path.steps)]

    @property
    def substitutions(self) -> list[tuple[int, str, str]]:
        """Of each step: the position (0-based), the letter there before, and the new one; numbers without names."""
        found, now = [], list(self.before)
        for step in self.path.steps:
            old, new = "", str(step.letter)
            if now:
                old, new = now[step.position], self.alphabet[step.letter]
                now[step.position] = new
            found.append((step.position, old, new))
        return found

    def __str__(self) -> str:
        told = [f"score {self.path.start:.4g}"]
        for step, (position, old, new) in zip(self.path.steps, self.substitutions, strict=True):
            told.append(f"{step.score:.4g}  {position} {f'{old}>{new}' if old else new}")
        return "\n".join(told)
