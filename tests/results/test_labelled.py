"""Results by name."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from fastism_compiler.ir.errors import OptionError

import fastism_compiler as fc
from fastism_compiler.errors import InputError

B, L = 2, 12
CLASSES = ["K562", "HepG2", "GM12878"]


@pytest.fixture(scope="module")
def program() -> fc.Program:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((L, 4))
    y = keras.layers.Conv1D(3, 3, padding="same", name="track")(inputs)
    head = keras.layers.Dense(3, name="head")(keras.layers.GlobalMaxPooling1D()(y))
    return fc.compile(keras.Model(inputs, {"track": y, "head": head}), verify=False)


@pytest.fixture(scope="module")
def x() -> np.ndarray[Any, Any]:
    letters = np.eye(4, dtype="float32")[np.random.default_rng(0).integers(0, 4, (B, L))]
    letters[0, 5] = 0
    return letters


def test_saturation(program: fc.Program, x: Any) -> None:
    effects = program.saturate(x, delta=True)
    data = fc.to_xarray(program, effects, x, sequences=["a", "b"], classes={"head": CLASSES})
    assert data["head"].dims == ("sequence", "position", "letter", "head_class")
    assert data["track"].dims == ("sequence", "position", "letter", "track_0", "track_1")
    one = data["head"].sel(sequence="b", position=7, letter="G", head_class="HepG2")
    assert float(one) == effects["head"][1, 7, 2, 1]
    assert "".join(data["reference"].sel(sequence="b").values) == "".join("ACGT"[i] for i in x[1].argmax(-1))
    assert data["reference"].sel(sequence="a", position=5) == "N"


def test_a_line_for_every_score(program: fc.Program, x: Any) -> None:
    effects = program.saturate(x, delta=True)
    table = fc.to_dataframe(program, effects, x, classes={"head": CLASSES})
    assert list(table) == ["sequence", "position", "letter", "reference", "output", "entry", "score"]
    assert len(table) == effects["head"].size + effects["track"].size
    chosen = table[(table.output == "head") & (table.entry == "K562") & (table.letter == "T") & (table.sequence == 1)]
    np.testing.assert_array_equal(chosen.score, effects["head"][1, :, 3, 0])
    at = table[(table.output == "track") & (table.entry == "4,2") & (table.letter == "A") & (table.position == 3)]
    np.testing.assert_array_equal(at.score, effects["track"][:, 3, 0, 4, 2])


def test_ranges_variants_references(program: fc.Program, x: Any) -> None:
    zeros = fc.to_xarray(program, program(x))
    assert zeros["head"].dims == ("sequence", "position", "head_0") and zeros["position"].values[-1] == L - 1
    listed = [(0, 3, "A"), (1, 4, "GT")]
    scored = fc.to_xarray(program, program.variants(x, listed), variants=listed)
    assert scored["head"].dims == ("variant", "head_0") and scored["alt"].values.tolist() == ["A", "GT"]
    assert scored["of"].values.tolist() == [0, 1] and scored["position"].values.tolist() == [3, 4]
    own = fc.to_xarray(program, program.reference(x), x, sequences=["a", "b"])
    assert own["head"].dims == ("sequence", "head_0") and "reference" not in own.coords
    scalar = keras.Sequential([keras.Input((L, 4)), keras.layers.Flatten(), keras.layers.Dense(1)])
    wide = fc.compile(scalar, ranges=[(0, 2), (5, 9)], outputs={0: 0}, verify=False)
    table = fc.to_dataframe(wide, wide(x))
    assert table.start.tolist() == [0, 5, 0, 5] and set(table.entry) == {""}


@pytest.mark.parametrize(
    ("arguments", "error", "fault"),
    [
        ({"sequences": ["a"]}, InputError, "sequences= names each"),
        ({"classes": CLASSES}, OptionError, "names the output"),
        ({"classes": {"heads": CLASSES}}, OptionError, "names an output"),
        ({"classes": {"head": CLASSES[:2]}}, InputError, "every entry"),
        ({"variants": [(0, 1, "A")]}, InputError, "what was scored"),
    ],
)
def test_names_that_do_not_fit(
    arguments: dict[str, Any], error: type[Exception], fault: str, program: fc.Program, x: Any
) -> None:
    with pytest.raises(error, match=fault):
        fc.to_xarray(program, program(x), **arguments)


@pytest.mark.parametrize("results", [np.zeros(3), {"head": np.zeros((2, 3))}, {"track": 1, "head": 2}, None])
def test_results_of_something_else(results: Any, program: fc.Program) -> None:
    with pytest.raises(InputError, match="what the program returned"):
        fc.to_xarray(program, results)


def test_names_that_are_taken() -> None:
    """Keras's own names of layers are those of axes; no output gets lost."""
    inputs = keras.Input((L, 4))
    layers = keras.layers
    two = [layers.Conv1D(2, 3, name="conv1d")(inputs), layers.Conv1D(3, 3, name="conv1d_1")(inputs)]
    model = keras.Model(inputs, [*two, layers.Dense(1, name="letter")(layers.Flatten()(inputs))])
    program = fc.compile(model, verify=False)
    letters = fc.one_hot("ACGTACGTACGT")
    results = program.saturate(letters)
    data = fc.to_xarray(program, results, letters)
    assert list(data.data_vars) == ["conv1d", "conv1d_1", "letter_"]
    assert data["conv1d"].dims[-2:] == ("conv1d_0", "conv1d_1_")
    table = fc.to_dataframe(program, results, letters)
    assert len(table) == sum(y.size for y in results)
    chosen = table[(table.output == "conv1d_1") & (table.entry == "4,2") & (table.letter == "T")]
    np.testing.assert_array_equal(chosen.score, results[1][0, :, 3, 4, 2])


def test_positions_around_a_change(x: Any) -> None:
    model = keras.Sequential([keras.Input((L, 4)), keras.layers.Conv1D(2, 3, padding="same")])
    program = fc.compile(model, outputs={0: fc.around(2)}, verify=False)
    (array,) = fc.to_xarray(program, program(x)).data_vars.values()
    assert array[array.dims[2]].values.tolist() == [-2, -1, 0, 1, 2]


def test_what_is_not_told_is_not_guessed(program: fc.Program, x: Any) -> None:
    listed = [(0, 3, 2), (1, 4, "GT"), (1, 5, "A")]
    scored = program.variants(x, listed)
    assert fc.to_xarray(program, scored)["head"].dims[0] == "row"
    named = fc.to_xarray(program, scored, variants=listed, sequences=["a", "b"])
    assert named["alt"].values.tolist() == ["G", "GT", "A"] and named["of"].values.tolist() == ["a", "b", "b"]
    with pytest.raises(InputError, match="names each sequence"):
        fc.to_xarray(program, scored, variants=listed, sequences=["a"])
    with pytest.raises(InputError, match="were scored"):
        fc.to_xarray(program, program(x), x[:1])
    with pytest.raises(InputError, match="holds whole outputs"):
        fc.to_xarray(program, program.saturate(x, delta=True, sparse=True))


def test_some_ranges_only(program: fc.Program, x: Any) -> None:
    part = {name: y[:, :5] for name, y in program(x).items()}
    with pytest.raises(InputError, match="all ranges"):
        fc.to_xarray(program, part)


def test_tokens_and_other_layouts(x: Any) -> None:
    tokens = keras.Sequential(
        [keras.Input((L,), dtype="int32"), keras.layers.Embedding(6, 3), keras.layers.Conv1D(2, 3)]
    )
    program = fc.compile(tokens, verify=False)
    codes = x.argmax(-1).astype("int32")
    data = fc.to_xarray(program, program.saturate(codes), codes)
    assert data["letter"].size == 6
    assert data["reference"].values.tolist() == [[str(code) for code in row] for row in codes.tolist()]
    first = keras.Sequential([keras.Input((4, L)), keras.layers.Permute((2, 1)), keras.layers.Conv1D(2, 3)])
    turned = fc.compile(first, verify=False)
    data = fc.to_xarray(turned, turned.saturate(x.swapaxes(1, 2)), x.swapaxes(1, 2))
    assert "".join(data["reference"].values[1]) == "".join("ACGT"[i] for i in x[1].argmax(-1))
