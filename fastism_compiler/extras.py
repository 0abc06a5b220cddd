"""Optional libraries: what to say when one is missing."""

from __future__ import annotations

from fastism_compiler.ir.errors import OptionError


def missing_extra(what: str, library: str, extra: str) -> OptionError:
    """The error for a library that is not installed, naming the extra that brings it."""
    return OptionError(
        f"{what} needs {library}",
        expected=f"pip install 'fastism-compiler[{extra}]'",
        got=f"{library} is not installed",
    )
