"""Draw the speed chart that the README shows, from `benchmarks/results/compare.json`.

python -m docs.readme [FOLDER]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from docs.pages import FOLDER

RESULTS = FOLDER.parent / "benchmarks" / "results" / "compare.json"


def speed_ups() -> list[tuple[str, float]]:
    """Model name and speed-up over the best batched naive ISM, fastest first."""
    rows: list[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8"))
    found = [(str(row["model"]), float(row["speed_up"])) for row in rows]
    return sorted(found, key=lambda pair: pair[1], reverse=True)


def draw(path: Path) -> None:
    """One bar per model."""
    import matplotlib.pyplot as plt

    names, values = zip(*speed_ups(), strict=True)
    fig, ax = plt.subplots(figsize=(8, 3.2), dpi=110, layout="constrained")
    bars = ax.barh(range(len(names)), values, color="#2f6f9f", height=0.7)
    ax.bar_label(bars, [f"{v:.0f}x" if v >= 10 else f"{v:.1f}x" for v in values], padding=3, fontsize=8)
    ax.set_yticks(range(len(names)), [n.replace("_", " ") for n in names], fontsize=8)
    ax.invert_yaxis()
    ax.set_xlabel("times faster than the best batched naive ISM (2 cores)", fontsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    fig.savefig(path)
    plt.close(fig)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER / "images")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    draw(folder / "speed.png")


if __name__ == "__main__":
    main()
