"""The sequences that a design follows, and the file that it goes on from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from fastism_compiler.evolution.path import Path
from fastism_compiler.host.files import write_json
from fastism_compiler.ir.errors import OptionError


@dataclass(slots=True)
class Front:
    """What is followed of one given sequence.

    Attributes:
        paths: of equal length, best first.
        best: the best so far.
        finished: whether no substitution of these improves the best.
    """

    paths: list[Path]
    best: Path
    finished: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        paths = [path.to_json() for path in self.paths]
        return {"paths": paths, "best": self.best.to_json(), "finished": self.finished}

    @classmethod
    def from_json(cls, data: Any) -> Front:
        """From plain data."""
        paths = [Path.from_json(path) for path in data["paths"]]
        return cls(paths, Path.from_json(data["best"]), bool(data["finished"]))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file with the fronts of a design.

    Attributes:
        file: written after every step; replaced as a whole.
        digest: of what the design was asked for.
    """

    file: FilePath
    digest: str

    def read(self) -> list[Front] | None:
        """The fronts; None if there is no file yet.

        Raises:
            OptionError: the file is of another design, or damaged; or its folder does not exist.
        """
        if not self.file.parent.is_dir():
            raise OptionError("the checkpoint cannot be written", expected="a folder that exists", got=str(self.file))
        try:
            data = json.loads(self.file.read_text())
            fronts = [Front.from_json(front) for front in data["fronts"]]
            digest = data["design"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OptionError(
                "the checkpoint cannot be read", expected="a file that design wrote", got=error
            ) from error
        if digest != self.digest:
            raise OptionError(
                "the checkpoint is of another design",
                expected="the same sequences, protected, beam and maximise",
                got=str(self.file),
            )
        return fronts

    def write(self, fronts: list[Front]) -> None:
        """Replace the file.

        Raises:
            OptionError: it cannot be written.
        """
        try:
            write_json(self.file, {"design": self.digest, "fronts": [front.to_json() for front in fronts]})
        except OSError as error:
            raise OptionError("the checkpoint cannot be written", got=error) from error
