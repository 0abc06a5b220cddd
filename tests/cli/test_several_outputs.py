"""A model of several outputs, and formats that hold one number per cell: a file for each."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from fastism_compiler.cli import main
from tests.runs.models import save, small_model, write_fasta


def test_a_file_for_each_number(tmp_path: Path) -> None:
    model = save(small_model(30), tmp_path)
    write_fasta(tmp_path / "in.fa", {"one": "ACGTTGCAAC" * 3})
    arguments = ["scan", model, str(tmp_path / "in.fa"), str(tmp_path / "s.zarr"), "--no-verify", "--to", "bedgraph"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    written = sorted(p.name for p in tmp_path.glob("*.bedgraph"))
    assert written == ["s.chance.0.bedgraph", "s.head.0.bedgraph", "s.head.1.bedgraph", "s.head.2.bedgraph"]
    assert len({(tmp_path / name).read_text() for name in written}) == 4
    result = CliRunner().invoke(main, [*arguments, "--track", "head:1"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "s.bedgraph").read_text() == (tmp_path / "s.head.1.bedgraph").read_text()
