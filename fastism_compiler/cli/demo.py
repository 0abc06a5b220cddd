"""`fastism-compiler demo`: everything once, on generated data."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np

import fastism_compiler as fc

_LENGTH = 200
_MOTIF = "TGACTCA"


@click.command()
@click.option(
    "--out", type=click.Path(file_okay=False), help="New folder to keep the results in (default: a temporary one)."
)
def demo(out: str | None) -> None:
    """Scan regions and variants of a generated genome with a model that knows one motif.

    Makes a genome, regions, variants and a model; scans; and checks that the
    strongest importance lies on the motif.

    Example: fastism-compiler demo --out demo
    """
    if out is not None:
        run_demo(Path(out))
        return
    with tempfile.TemporaryDirectory() as folder:
        run_demo(Path(folder))


def run_demo(folder: Path) -> None:
    """Run the demo in `folder`.

    Raises:
        OptionError: a folder that is not empty.
        RunError: the motif was not found.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise fc.OptionError("the folder holds something", expected="a new folder, or an empty one", got=folder)
    _write_inputs(folder)
    motif_model().save(folder / "model.keras")
    click.echo(f"model, genome, regions and variants: {folder}")
    summary = fc.scan(
        folder / "model.keras",
        folder / "regions.bed",
        folder / "scan.zarr",
        genome=folder / "genome.fa",
        to=[("bedgraph", folder / "scan.bedgraph")],
    )
    click.echo(f"scan: {summary.counts['sequences']} regions -> scan.zarr, scan.bedgraph")
    effects = fc.scan_variants(
        folder / "model.keras",
        folder / "genome.fa",
        folder / "variants.tsv",
        folder / "variants.zarr",
        to=[("vcf", folder / "variants.vcf")],
    )
    click.echo(f"variants: {effects.counts['variants']} -> variants.zarr, variants.vcf")
    lines = [line.split("\t") for line in (folder / "scan.bedgraph").read_text().splitlines()]
    best = max(lines, key=lambda line: float(line[3]))
    inside = (int(best[1]) - _LENGTH // 2) % (2 * _LENGTH)
    if inside >= len(_MOTIF):
        raise fc.RunError("the strongest importance is not on the motif", expected=_MOTIF, got=best)
    click.echo(f"strongest importance: {best[0]}:{best[1]}, letter {inside + 1} of the motif {_MOTIF}")


def motif_model() -> Any:
    """A model that scores how well its motif is matched anywhere in 200 bases."""
    # Keras is imported late: the command line starts without it
    import keras

    inputs = keras.Input((_LENGTH, 4), name="sequence")
    y = keras.layers.Conv1D(2, len(_MOTIF), activation="relu", name="motifs")(inputs)
    outputs = keras.layers.Dense(1, name="score")(keras.layers.GlobalMaxPooling1D()(y))
    model = keras.Model(inputs, outputs)
    kernel = np.zeros((len(_MOTIF), 4, 2), np.float32)
    kernel[np.arange(len(_MOTIF)), ["ACGT".index(c) for c in _MOTIF], 0] = 1
    model.get_layer("motifs").set_weights([kernel, np.array([-3, 0], np.float32)])
    model.get_layer("score").set_weights([np.array([[1], [0]], np.float32), np.zeros(1, np.float32)])
    return model


def _write_inputs(folder: Path) -> None:
    rng = np.random.default_rng(0)
    bases = rng.choice(list("ACGT"), 8 * _LENGTH)
    regions, variants = [], ["chrom\tpos\tref\talt"]
    for i in range(4):
        at = 2 * _LENGTH * i + _LENGTH // 2
        bases[at : at + len(_MOTIF)] = list(_MOTIF)
        regions.append(f"chr1\t{at - 50}\t{at + 50}\tregion_{i}")
        variants.append(f"chr1\t{at + 1}\t{_MOTIF[0]}\tC")
        variants.append(f"chr1\t{at + 1}\t{_MOTIF[:3]}\t{_MOTIF[0]}")
    text = "".join(bases)
    (folder / "genome.fa").write_text(">chr1\n" + "\n".join(text[i : i + 60] for i in range(0, len(text), 60)) + "\n")
    (folder / "regions.bed").write_text("\n".join(regions) + "\n")
    (folder / "variants.tsv").write_text("\n".join(variants) + "\n")
