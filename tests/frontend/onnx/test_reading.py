"""ONNX files: what is read, what is refused and how, and what programs of them can do."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import fastism_compiler as fc
from benchmarks.onnx_nets import Net
from fastism_compiler.frontend.registry import read_model
from tests.programs import compile_tiles

LENGTH = 15


def small(**options: Any) -> Net:
    return Net(4, LENGTH, **options)


def scored(net: Net) -> Any:
    """A convolution and a mean, two outputs."""
    profile = net.add("Relu", net.add("Conv", net.x, (3, 4, 3), (3,), pads=[1, 1]))
    return net.model(profile, net.add("ReduceMean", profile, np.array([2]), keepdims=0))


@pytest.fixture(scope="module")
def model() -> Any:
    return scored(small())


@pytest.fixture(scope="module")
def path(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("models") / "model.onnx"
    onnx.save(model, file)
    return file


@pytest.fixture(scope="module")
def program(path: Path) -> Any:
    return compile_tiles(path, jit=False)


@pytest.fixture(scope="module")
def x() -> Any:
    return np.eye(4, dtype="float32")[np.random.default_rng(0).integers(0, 4, (2, LENGTH))].transpose(0, 2, 1)


def naive(model: Any, x: Any, letter: Any = 0) -> list[Any]:
    """Every position replaced, by ONNX's reference: `[B, R, *out]`."""
    evaluator, rows = onnx.reference.ReferenceEvaluator(model), []
    for position in range(LENGTH):
        mutant = x.copy()
        mutant[:, :, position] = letter
        rows.append(evaluator.run(None, {"x": mutant}))
    return [np.stack(parts, axis=1) for parts in zip(*rows, strict=True)]


def test_a_file_is_compiled_and_scores_in_its_own_layout(program: Any, model: Any, x: Any) -> None:
    assert not program.plan.naive
    assert any("[batch, letters, length]" in note for note in program.plan.notes)
    assert any("weights are constants" in note for note in program.plan.notes)
    for ours, theirs in zip(program(x), naive(model, x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    saturated = program.saturate(x)
    for number, letter in enumerate(np.eye(4, dtype="float32")):
        for ours, theirs in zip(saturated, naive(model, x, letter[:, None].T), strict=True):
            np.testing.assert_allclose(ours[:, :, number], theirs, rtol=1e-5, atol=1e-5)


def test_a_program_is_verified_pickled_and_exported(program: Any, x: Any, tmp_path: Path) -> None:
    assert program.verify(ranges=LENGTH)
    again = pickle.loads(pickle.dumps(program))
    program.export(tmp_path / "program.ism", "ism")
    for other in (again, fc.load(tmp_path / "program.ism")):
        for ours, theirs in zip(other(x), program(x), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_outputs_are_named_and_reduced(model: Any, x: Any) -> None:
    name = model.graph.output[1].name
    ours = compile_tiles(model, jit=False, outputs={name: [1]})(x)
    np.testing.assert_allclose(ours, naive(model, x)[1][..., [1]], rtol=1e-5, atol=1e-5)
    total = compile_tiles(model, jit=False, verify=False, reduce=lambda y: y[1] * 2)
    np.testing.assert_allclose(total(x), naive(model, x)[1] * 2, rtol=1e-5, atol=1e-5)


def test_tokens_are_read_as_an_embedding_reads_them() -> None:
    net = Net(LENGTH, dtype=TensorProto.INT64)
    rows = net.add("Gather", net.weight(np.random.default_rng(0).standard_normal((6, 3)).astype("float32")), net.x)
    program = compile_tiles(net.model(net.add("ReduceMax", rows, np.array([1]), keepdims=0)), jit=False)
    assert program.letters.count == 6
    with pytest.raises(fc.InputError, match=r"0 \.\. 5"):
        program(np.full((1, LENGTH), 6))


def test_a_second_input_stays_as_it_is(x: Any) -> None:
    net = small()
    control = net.input("control", LENGTH)
    summed = net.add("Conv", net.x, (1, 4, 3), pads=[1, 1])
    made = net.add("Add", net.add("Squeeze", summed, np.array([1])), net.add("Relu", control))
    program = compile_tiles(net.model(made), jit=False)
    given = np.random.default_rng(0).standard_normal((2, LENGTH)).astype("float32")
    np.testing.assert_allclose(
        program({"x": x, "control": given}, delta=True), program([x, 2 * given], delta=True), atol=1e-6
    )


def test_one_sequence_in_the_file_becomes_any_number(x: Any) -> None:
    def build(batch: Any) -> Any:
        net = small(batch=batch)
        net.rng = np.random.default_rng(5)
        rows = net.add("Reshape", net.add("Relu", net.x), np.array([1 if batch == 1 else -1, 4 * LENGTH]))
        return net.model(net.add("Gemm", rows, (4 * LENGTH, 2)))

    fixed, opened = (compile_tiles(build(batch), jit=False) for batch in (1, "batch"))
    for program in (fixed, pickle.loads(pickle.dumps(fixed))):
        np.testing.assert_allclose(program(x), opened(x), rtol=1e-6)


def test_a_length_that_is_open_is_given() -> None:
    net = Net(4, LENGTH)
    model = scored(net)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "length"
    for output in model.graph.output:
        output.type.tensor_type.shape.CopyFrom(helper.make_tensor_type_proto(1, ["batch", "a", "b"]).tensor_type.shape)
    del model.graph.output[1].type.tensor_type.shape.dim[2:]
    with pytest.raises(fc.UnsupportedError, match="length="):
        read_model(model)
    assert compile_tiles(model, jit=False, verify=False, length=21).ranges.count == 21


def test_a_large_file_keeps_its_weights_beside_it(model: Any, x: Any, tmp_path: Path, program: Any) -> None:
    large = onnx.ModelProto()
    large.CopyFrom(model)
    file = tmp_path / "large.onnx"
    onnx.save(large, file, save_as_external_data=True, location="large.data", size_threshold=0)
    for ours, theirs in zip(compile_tiles(file, jit=False, verify=False)(x), program(x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
    (tmp_path / "large.data").unlink()
    with pytest.raises(fc.ModelError, match=r"large\.data"):
        read_model(file)


def _elsewhere(model: Any, folder: Path) -> Path:
    """A file that names weights outside of its folder."""
    secret = folder / "secret.data"
    secret.write_bytes(b"\\0" * 4096)
    inner = folder / "inner"
    inner.mkdir()
    moved = onnx.ModelProto()
    moved.CopyFrom(model)
    tensor = moved.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret.data")
    (inner / "model.onnx").write_bytes(moved.SerializeToString())
    return inner / "model.onnx"


def test_weights_outside_of_the_folder_are_not_read(model: Any, tmp_path: Path) -> None:
    with pytest.raises(fc.ModelError, match=r"secret\.data"):
        read_model(_elsewhere(model, tmp_path))


@pytest.mark.parametrize("cut", [0, 1, 40, 300])
def test_a_damaged_file_is_refused(path: Path, tmp_path: Path, cut: int) -> None:
    file = tmp_path / "cut.onnx"
    file.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(fc.ModelError, match=r"cut\.onnx|ONNX"):
        read_model(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(fc.ModelError, match="cannot be read"):
        fc.compile(tmp_path / "none.onnx")


def _branching(net: Net) -> str:
    branch = helper.make_graph([helper.make_node("Identity", [net.x], ["inner"])], "branch", [],
                               [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)])  # fmt: skip
    return net.add("If", net.add("Greater", net.weight(np.float32(1)), np.float32(0)),
                   then_branch=branch, else_branch=branch)  # fmt: skip


REFUSED: dict[str, tuple[Callable[[Net], Any], str]] = {
    "an operator without a rule": (lambda n: n.add("Det", n.x), r"operator Det, node 'Det_0'"),
    "a branch": (_branching, "operator If.*flow"),
    "sums over sequences": (lambda n: n.add("ReduceSum", n.x, np.array([0])), "sequences"),
    "products over sequences": (lambda n: n.add("Einsum", n.x, equation="bcl->cl"), "summed over the sequences"),
    "a shape of its own": (lambda n: n.add("Reshape", n.x, np.array([5, -1])), "Reshape.*mixes sequences"),
    "sequences behind": (lambda n: n.add("Transpose", n.x, perm=[1, 0, 2]), "sequences first"),
    "half precision": (lambda n: n.add("Cast", n.add("Cast", n.x, to=10), to=1), "in float32"),
    "a constant": (lambda n: n.add("Identity", (2, 3)), "does not depend"),
    "a kernel that is padded across": (
        lambda n: n.add("Conv", n.add("Unsqueeze", n.x, np.array([1])), (5, 1, 4, 3), auto_pad="SAME_UPPER"),
        "moves along 2 axes",
    ),
    "training": (lambda n: n.add("Dropout", n.x, np.float32(0.5), np.array(True)), "dropout in training"),
    "a mode of padding": (
        lambda n: n.add("Pad", n.x, np.array([0, 0, 2, 0, 0, 3]), mode="wrap"), "the mode 'wrap'"
    ),
    "a result without a rule": (
        lambda n: n.add("Relu", n.add("LayerNormalization", n.x, (15,), results=3)[1]),
        "operator Relu.*which no rule computes",
    ),
    "squares that may be left as they are": (
        lambda n: n.add("ReduceSumSquare", n.x, noop_with_empty_axes=1), "noop_with_empty_axes"
    ),
    "a longer axis beside that of positions": (
        lambda n: n.add(
            "ConvTranspose", n.add("Unsqueeze", n.x, np.array([2])), (4, 3, 1, 3), strides=[2, 2], output_padding=[1, 1]
        ),
        "moves along 2 axes",
    ),
    "numbers like a constant that are random": (
        lambda n: n.add("Add", n.x, n.add("RandomNormalLike", (4, 15))), "random"
    ),
    "nothing that is random": (lambda n: n.add("Add", n.x, n.add("RandomNormal", shape=[4, 15])), "random"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_is_refused_by_name(name: str) -> None:
    build, said = REFUSED[name]
    net = small()
    made = build(net)
    graph = helper.make_graph(
        net.nodes, "net", net.inputs, [helper.make_tensor_value_info(made, 1, ["batch", None, None])], net.weights
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    with pytest.raises((fc.UnsupportedError, fc.ModelError), match=f"(?s){said}"):
        read_model(model)


def test_operators_of_another_domain_are_refused(model: Any) -> None:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    other.graph.node[0].domain = "com.example"
    other.opset_import.add(domain="com.example", version=1)
    with pytest.raises(fc.UnsupportedError, match=r"com\.example\.Conv"):
        read_model(other)


def test_a_version_of_tomorrow_is_refused(model: Any) -> None:
    newer = onnx.ModelProto()
    newer.CopyFrom(model)
    newer.opset_import[0].version = 999
    with pytest.raises(fc.UnsupportedError, match="opset 999"):
        read_model(newer)


def test_inputs_are_found_by_name_and_number(model: Any) -> None:
    assert compile_tiles(model, "x", jit=False, verify=False).inputs.names == ("x",)
    for wrong in ("y", 1, -1, True):
        with pytest.raises(fc.InputError, match="seq_input"):
            fc.compile(model, wrong)


def test_without_the_runtime_onnx_itself_judges(model: Any, x: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("source", "oracle"):
        monkeypatch.setattr(f"fastism_compiler.frontend.onnx.{module}.has_runtime", lambda: False)
    program = compile_tiles(model, jit=False)
    assert any("not installed" in note for note in program.plan.notes)
    for ours, theirs in zip(program(x), naive(model, x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_the_oracle_in_float64_is_exact(program: Any, model: Any, x: Any) -> None:
    exact = program.naive.in_float64()([x.transpose(0, 2, 1)])
    assert exact[0].dtype == np.float64
    for ours, theirs in zip(exact, program.naive([x.transpose(0, 2, 1)]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_a_single_number_keeps_its_digits_in_float64() -> None:
    net = Net(4, LENGTH, dtype=TensorProto.DOUBLE)
    made = net.add("Mod", net.add("Mul", net.x, np.float64(1.3)), np.float64(0.7), fmod=1)
    program = compile_tiles(net.model(made, dtypes=[TensorProto.DOUBLE]), ranges=[(3, 4)], jit=False, verify=False)
    x = np.eye(4)[np.arange(LENGTH) % 4].T[None]
    expected = np.fmod(1.3 * x, 0.7)
    expected[:, :, 3] = 0
    np.testing.assert_allclose(program(x)[:, 0], expected, rtol=1e-12)


def test_signs_of_whole_numbers() -> None:
    """Lost digits are looked for in the floats that they were cast from."""
    net = small()
    whole = net.add("Cast", net.add("Mul", net.x, np.float32([[3], [-2], [0.5], [1]])), to=TensorProto.INT64)
    made = net.add("Cast", net.add("Sign", whole), to=TensorProto.FLOAT)
    program = compile_tiles(net.model(made), jit=False, verify=False)
    x = np.eye(4, dtype="float32")[np.arange(LENGTH) % 4].T[None]
    expected = np.broadcast_to(x * np.float32([[1], [-1], [0], [1]]), (LENGTH, 4, LENGTH)).copy()
    expected[np.arange(LENGTH), :, np.arange(LENGTH)] = 0
    np.testing.assert_array_equal(program(x)[0], expected)
