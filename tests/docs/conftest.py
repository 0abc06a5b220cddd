from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def always_the_tile_section() -> None:
    """Replaces the fixture of that name: pages run as a reader runs them, with the usual pipeline."""
