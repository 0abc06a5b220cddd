"""Programs: what compiled and loaded ones share, and what each adds."""

from __future__ import annotations

import fastism_compiler as fc
from fastism_compiler.export.load import LoadedISM


def own(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def test_a_loaded_program_scores_as_a_compiled_one_does() -> None:
    assert issubclass(LoadedISM, fc.Program) and issubclass(fc.CompiledISM, fc.Program)
    assert not issubclass(LoadedISM, fc.CompiledISM)
    assert not own(LoadedISM) & own(fc.Program), "it inherits scoring, and refuses none of it"


def test_both_show_their_plan_and_can_be_exported() -> None:
    shown = {"plan", "graph", "function", "text", "export", "to_keras_layer"}
    assert not shown & own(fc.Program)
    assert shown <= own(LoadedISM)
    assert shown <= {name for name in dir(fc.CompiledISM) if not name.startswith("_")}
