"""CREsted's `contribution_scores`: the same arguments, and the results of plain loops over `model.predict`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.crested import contribution_scores
from fastism_compiler.models.randomize import randomize
from tests.runs.models import genome, reverse, write_fasta

L = keras.layers
LENGTH, WIDTH, SHUFFLES = 24, 5, 3


def classifier(seed: int) -> Any:
    x = L.Input((LENGTH, 4), name="seq")
    y = L.MaxPooling1D(2)(L.Conv1D(6, 5, activation="gelu", padding="same")(x))
    return randomize(keras.Model(x, L.Dense(3, activation="softplus")(L.Flatten()(y))), seed)


@pytest.fixture(scope="module")
def models() -> list[Any]:
    return [classifier(0), classifier(1)]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    rng = np.random.default_rng(0)
    return ["".join(rng.choice(list("ACGT"), LENGTH)) for _ in range(2)]


def predicted(model: Any, rows: Any, classes: Any) -> Any:
    y = model.predict(np.asarray(rows, np.float32), verbose=0)
    return np.stack([np.sqrt((y**2).sum(-1)) if i is None else y[:, i] for i in classes], axis=-1)


def letters_by_loop(model: Any, x: Any, classes: Any) -> Any:
    scores = np.zeros((len(x), len(classes), LENGTH, 4))
    for b, one in enumerate(x):
        mutants = np.tile(one, (LENGTH, 4, 1, 1))
        for position in range(LENGTH):
            mutants[position, :, position] = np.eye(4)
        rows = predicted(model, [one, *mutants.reshape(-1, LENGTH, 4)], classes)  # one call: `predict` is slow to start
        scores[b] = np.moveaxis((rows[1:] - rows[0]).reshape(LENGTH, 4, -1), -1, 0)
    return scores


def windows_by_loop(model: Any, x: Any, classes: Any, uniform: bool, seed: int) -> Any:
    scores = np.zeros((len(x), len(classes), LENGTH, 4))
    for b, one in enumerate(x):
        rng = np.random.default_rng(seed)
        mutants, held = [one], [[] for _ in range(LENGTH)]
        for _ in range(SHUFFLES):
            for start in range(LENGTH - WIDTH + 1):
                mutant = one.copy()
                if uniform:
                    mutant[start : start + WIDTH] = rng.choice(np.identity(4, dtype=int), WIDTH)
                else:
                    rng.shuffle(mutant[start : start + WIDTH], axis=0)
                for position in range(start, start + WIDTH):
                    held[position].append(len(mutants))
                mutants.append(mutant)
        rows = predicted(model, mutants, classes)
        for position in range(LENGTH):
            scores[b, :, position] = (rows[held[position]].mean(axis=0) - rows[0])[:, None]
    return scores


@pytest.mark.parametrize(("target", "classes"), [(1, [1]), ([0, 2], [0, 2]), ([], [None]), (None, [0, 1, 2])])
def test_mutagenesis(models: list[Any], texts: list[str], target: Any, classes: Any) -> None:
    x = fc.one_hot(texts)
    scores, letters = contribution_scores(texts, target, models, method="mutagenesis", verbose=False)
    np.testing.assert_array_equal(letters, x)
    expected = np.mean([letters_by_loop(m, x, classes) for m in models], axis=0)
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.parametrize("uniform", [False, True])
def test_windows(models: list[Any], texts: list[str], uniform: bool) -> None:
    method = "window_shuffle_uniform" if uniform else "window_shuffle"
    x = fc.one_hot(texts)
    scores, _ = contribution_scores(x, [2, 0], models[0], method, WIDTH, SHUFFLES, seed=7)
    np.testing.assert_allclose(scores, windows_by_loop(models[0], x, [2, 0], uniform, 7), atol=1e-5)


def test_regions_files_and_weights_that_change(models: list[Any], tmp_path: Path) -> None:
    letters = genome(np.random.default_rng(1), {"chr1": 200})
    fasta = write_fasta(tmp_path / "g.fa", letters)
    regions = [f"chr1:10-{10 + LENGTH}", f"chr1:50-{50 + LENGTH}:-"]
    plain = [letters["chr1"][10 : 10 + LENGTH], reverse(letters["chr1"][50 : 50 + LENGTH])]
    folder = tmp_path / "out"
    options = {"transpose": True, "all_class_names": ["a", "b", "c"], "output_dir": folder}
    scores, x = contribution_scores(regions, [1], models[0], genome=fasta, **options)
    same, _ = contribution_scores(plain, [1], models[0])
    np.testing.assert_array_equal(scores, same.transpose(0, 1, 3, 2))
    assert sorted(p.name for p in folder.iterdir()) == ["b_contrib.npz", "b_oh.npz"]
    np.testing.assert_array_equal(np.load(folder / "b_contrib.npz")["arr_0"], scores[:, 0])
    np.testing.assert_array_equal(np.load(folder / "b_oh.npz")["arr_0"], x)
    contribution_scores(regions, [1], models[0], genome=fasta, output_dir=folder)
    assert (folder / "class_id_1_contrib.npz").is_file(), "without names of the classes"
    table = SimpleNamespace(var_names=regions)  # as an AnnData object has them
    fetcher = SimpleNamespace(fetch=lambda region: plain[regions.index(region)])
    np.testing.assert_array_equal(contribution_scores(table, [1], models[0], genome=fetcher)[0], same)
    models[0].set_weights([2 * w for w in models[0].get_weights()])
    changed, _ = contribution_scores(plain, [1], models[0])
    np.testing.assert_allclose(changed, letters_by_loop(models[0], fc.one_hot(plain), [1]), atol=1e-4)


def test_refusals(models: list[Any], texts: list[str]) -> None:
    for arguments, options, rule in (
        ((texts, 0, models[0], "integrated_grad"), {}, "scores of mutants only"),
        ((texts, 3, models[0]), {}, "no such class"),
        ((texts, "a", models[0]), {}, "target_idx= has a wrong value"),
        ((np.zeros((2, LENGTH)), 0, models[0]), {}, "sequences are one-hot"),
        ((["ACGT", "ACG"], 0, models[0]), {}, "one length"),
        (("chr1:1-25", 0, models[0]), {}, "regions lie on a genome"),
        ((texts, 0, models[0], "window_shuffle", LENGTH + 1), {}, "a window fits the sequence"),
        ((texts, 0, "model.keras"), {}, "one output of classes"),
    ):
        with pytest.raises(fc.FastISMError, match=rule):
            contribution_scores(*arguments, **options)
    with pytest.warns(UserWarning, match="simplex_correction"):
        contribution_scores(texts[:1], 0, models[0], simplex_correction=True)
