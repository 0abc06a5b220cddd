"""The accelerator benchmark runs where there is none: both steps, at tiny size, on JAX's CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks import gpu

ROOT = Path(__file__).parent.parent.parent
PRECISIONS = ["float32", "bfloat16"]


def test_export_then_run(tmp_path: Path) -> None:
    folder, result = tmp_path / "exports", tmp_path / "gpu.json"
    gpu.main(["export", str(folder), "--models", "basset", "--precisions", *PRECISIONS, "--tiny"])
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['fastism_compiler'] = None; "
        f"sys.path.insert(0, {str(ROOT / 'benchmarks')!r}); import gpu; "
        f"gpu.main({['run', str(folder), '--models', 'basset', '--json', str(result), '--precisions', *PRECISIONS]})"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    rows = json.loads(result.read_text())
    expected = {"float32": ["naive-64", "ours"], "bfloat16": ["ours"]}
    assert [(r["precision"], r["program"]) for r in rows] == [(p, k) for p, ks in expected.items() for k in ks]
    for row in rows:
        most = {"float32": 1e-3, "bfloat16": 0.2}[row["precision"]]
        assert row["error_over_rms"] < most and row["correlation"] > 0.999
        assert row["seconds"] > 0 and row["over_floor"] > 0
