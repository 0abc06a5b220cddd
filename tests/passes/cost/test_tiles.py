from __future__ import annotations

from fastism_compiler.passes.cost.tiles import spilled


def test_what_caches_do_not_hold() -> None:
    assert spilled(100, []) == spilled(100, [None]) == 0
    assert spilled(100, [200]) == spilled(100, [100]) == 0
    assert spilled(100, [25]) == 0.75
    assert spilled(100, [25, None, 200]) == 0.375
