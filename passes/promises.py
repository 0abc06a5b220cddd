"""The promises of passes: which have run, and whose facts are still up to date."""

from __future__ import annotations

from fastism_compiler.ir.errors import PassError
from fastism_compiler.ir.verifier import Promises
from fastism_compiler.passes.base import Pass


class Ledger:
    """What one run of a pipeline knows of the passes that have run."""

    def __init__(self) -> None:
        self._ran: list[str] = []
        self._valid: dict[str, Pass] = {}
        """Passes whose promises hold, by name, in the order in which they ran."""
        self._outdated: dict[str, str] = {}
        """A pass that no longer counts as run -> the pass that made it so."""

    @property
    def names(self) -> str:
        """The passes that have run, in order."""
        return ", ".join(self._ran)

    @property
    def promises(self) -> Promises:
        """What must hold now, by the pass that promised it."""
        return [(name, step.ensures) for name, step in self._valid.items()]

    def admit(self, step: Pass) -> None:
        """Let a pass run only if those that it requires have run, and are up to date.

        Raises:
            PassError: names the pass, the one that is missing, and which to insert.
        """
        missing = [name for name in step.requires if name not in self._valid]
        outdated = [name for name in missing if name in self._outdated]
        got = ", ".join(self._valid) or "nothing"
        if outdated:
            first = outdated[0]
            raise PassError(
                f"pass {step.name} needs {first}, whose facts {self._outdated[first]} made out of date",
                expected=f"{', '.join(missing)} once more, after {self._outdated[first]}",
                got=f"up to date: {got}",
            )
        if missing:
            raise PassError(f"pass {step.name} needs others before it", expected=", ".join(missing), got=got)

    def enter(self, step: Pass) -> None:
        """Record that a pass has run; drop the promises of those it invalidates, and of passes that require these."""
        gone = {name for name in step.invalidates if name in self._valid}
        for name, other in self._valid.items():  # in the order in which they ran, so one round is enough
            if not gone.isdisjoint(other.requires):
                gone.add(name)
        for name in gone:
            del self._valid[name]
            self._outdated[name] = step.name
        self._valid.pop(step.name, None)
        self._outdated.pop(step.name, None)
        self._valid[step.name] = step
        self._ran.append(step.name)
