"""The accelerator benchmark runs where there is none: both steps, at tiny size, on JAX's CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_export_then_run(tmp_path: Path) -> None:
    folder, result = tmp_path / "exports", tmp_path / "gpu.json"
    export = ["-m", "benchmarks.gpu", "export", str(folder), "--models", "optimus_5prime", "--batch", "2"]
    subprocess.run([sys.executable, *export, "--tiny", "--no-weights"], cwd=ROOT, check=True, capture_output=True)
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['fastism_compiler'] = None; "
        f"sys.path.insert(0, {str(ROOT / 'benchmarks')!r}); import gpu; "
        f"gpu.main(['run', {str(folder)!r}, '--json', {str(result)!r}])"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    rows = json.loads(result.read_text())
    assert [(r["model"], r["precision"]) for r in rows] == [("optimus_5prime", "float32"), ("optimus_5prime", "tf32")]
    assert all(r["naive_s"] > 0 and r["ours_s"] > 0 for r in rows)
