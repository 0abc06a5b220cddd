"""Exported programs that try to touch files or Python: refused by operation, and nothing has run."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import fastism_compiler as fc
from fastism_compiler import archives
from fastism_compiler.export import load
from fastism_compiler.export.allowed_operations import CHECKPOINT, OPERATIONS
from fastism_compiler.export.bundle import pack_bundle
from fastism_compiler.export.check_graph import check_savedmodel
from fastism_compiler.export.manifest import Manifest, folder_digests
from fastism_compiler.export.savedmodel import MANIFEST
from tests.export.programs import compiled, tiny
from tests.export.test_damage import refused
from tests.frontend.model_files import bomb


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("artifact") / "program"
    compiled(tiny(), batch_size=1, jit=False).export(path, "savedmodel")
    return path


@pytest.fixture
def folder(artifact: Path, tmp_path: Path) -> Path:
    shutil.copytree(artifact, tmp_path / "program")
    return tmp_path / "program"


def sign(folder: Path) -> Manifest:
    """Write the manifest anew, checksums included, as an attacker would."""
    manifest = Manifest.from_json((folder / MANIFEST).read_bytes(), "")
    manifest = replace(manifest, files=folder_digests(folder, but=MANIFEST))
    (folder / MANIFEST).write_text(manifest.to_json())
    return manifest


def edited(folder: Path, change: Callable[[Any], None]) -> Path:
    """Change the graph of a program, and sign it."""
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    change(saved)
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())
    sign(folder)
    return folder


def functions(saved: Any, part: str) -> Iterator[Any]:
    return (f for f in saved.meta_graphs[0].graph_def.library.function if part in f.signature.name)


class Writes(tf.lookup.KeyValueTensorInitializer):  # type: ignore[misc]
    """A resource whose initialiser, which runs when it is loaded, writes a file."""

    def __init__(self, path: Path) -> None:
        super().__init__(["a"], [1])
        self._path = str(path)

    def initialize(self, table: Any) -> Any:
        tf.io.write_file(self._path, "hostile")
        return super().initialize(table)


def test_an_initialiser_that_writes_a_file(folder: Path, tmp_path: Path) -> None:
    """The whole graph replaced by one of the attacker's, in a folder and in a bundle, checksums and all."""
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(Writes(tmp_path / "ran"), 0)
    module.look_up = tf.function(module.table.lookup, input_signature=[tf.TensorSpec([], tf.string)])
    tf.saved_model.save(module, str(folder))
    (tmp_path / "ran").unlink(missing_ok=True)
    pack_bundle(folder, sign(folder), tmp_path / "program.ism")
    for path in (folder, tmp_path / "program.ism"):
        refused(path, "WriteFile", "safe_mode=False", path.name)
        assert not (tmp_path / "ran").exists()
        with pytest.raises((fc.ArtifactError, AttributeError, KeyError)):  # it is no program, but it has been loaded
            fc.load(path, safe_mode=False)
        assert (tmp_path / "ran").exists()
        (tmp_path / "ran").unlink()


def test_a_program_that_is_swapped_after_the_check_is_not_loaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was checked is what is loaded."""
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(Writes(tmp_path / "ran"), 0)
    real = load.check_savedmodel

    def slow(checked: Path, where: str) -> None:
        real(checked, where)
        tf.saved_model.save(module, str(folder))
        (tmp_path / "ran").unlink(missing_ok=True)

    monkeypatch.setattr(load, "check_savedmodel", slow)
    assert fc.load(folder).ranges.count > 0
    assert not (tmp_path / "ran").exists()


def test_a_manifest_with_a_path_out_of_the_folder(folder: Path) -> None:
    manifest = Manifest.from_json((folder / MANIFEST).read_bytes(), "")
    (folder / MANIFEST).write_text(replace(manifest, files={"../outside": "0"}).to_json())
    refused(folder, "outside of it")


def saved_with(folder: Path, function: Callable[[Any], Any]) -> Path:
    module = tf.Module()
    module.scan = tf.function(function, input_signature=[tf.TensorSpec([3], tf.float32)])
    tf.saved_model.save(module, str(folder))
    return folder


def reads(x: Any) -> Any:
    return x, tf.io.read_file("/etc/passwd")


def calls_python(x: Any) -> Any:
    return tf.numpy_function(lambda y: y, [x], tf.float32)


def prints_into_a_file(x: Any) -> Any:
    tf.raw_ops.PrintV2(input="x", output_stream="file:///tmp/ran")
    return x


def reads_in_a_branch_of_a_loop(x: Any) -> Any:
    def body(i: Any, y: Any) -> Any:
        return i + 1, tf.cond(i > 1, lambda: tf.strings.to_number(tf.io.read_file("/etc/hostname")), lambda: y)

    return tf.while_loop(lambda i, y: i < 3, body, [tf.constant(0), x[0]])


def saves_a_checkpoint(x: Any) -> Any:
    tf.raw_ops.SaveV2(prefix="/tmp/ran", tensor_names=["x"], shape_and_slices=[""], tensors=[x])
    return x


def restores_a_checkpoint(x: Any) -> Any:
    return x, tf.raw_ops.RestoreV2(prefix="/tmp/x", tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32])


def reads_memory_mapped(x: Any) -> Any:
    return x + tf.raw_ops.ImmutableConst(dtype=tf.float32, shape=[3], memory_region_name="/etc/passwd")


def reads_records(x: Any) -> Any:
    return tf.data.TextLineDataset("/etc/passwd").map(tf.strings.length).reduce(0, lambda a, b: a + b)


@pytest.mark.parametrize(
    ("function", "operation"),
    [
        (reads, "ReadFile"),
        (calls_python, "PyFunc"),
        (prints_into_a_file, "PrintV2"),
        (reads_in_a_branch_of_a_loop, "ReadFile"),
        (saves_a_checkpoint, "SaveV2"),
        (restores_a_checkpoint, "RestoreV2"),
        (reads_memory_mapped, "ImmutableConst"),
        (reads_records, "Dataset"),
    ],
)
def test_operations_are_found_wherever_they_are(function: Any, operation: str, tmp_path: Path) -> None:
    with pytest.raises(fc.ArtifactError, match=operation):
        check_savedmodel(saved_with(tmp_path / "model", function), "model")


def _name_of_the_saver(saved: Any) -> str:
    return str(next(functions(saved, "traced_save")).signature.name)


def called(saved: Any) -> None:
    node = next(functions(saved, "signature_wrapper")).node_def.add(name="extra", op="PartitionedCall")
    node.attr["f"].func.name = _name_of_the_saver(saved)


def called_by_name(saved: Any) -> None:
    next(functions(saved, "signature_wrapper")).node_def.add(name="extra", op=_name_of_the_saver(saved))


def called_from_a_list(saved: Any) -> None:
    node = next(functions(saved, "signature_wrapper")).node_def.add(name="extra", op="Case")
    node.attr["branches"].list.func.add(name=_name_of_the_saver(saved))


def called_at_the_top(saved: Any) -> None:
    node = saved.meta_graphs[0].graph_def.node.add(name="extra", op="PartitionedCall")
    node.attr["f"].func.name = _name_of_the_saver(saved)


def kept_as_an_object(saved: Any) -> None:
    saved.meta_graphs[0].object_graph_def.concrete_functions[_name_of_the_saver(saved)].SetInParent()


def in_the_place_of_another(saved: Any) -> None:
    next(functions(saved, "traced_save")).attr["api_implements"].s = b"scan"


def as_a_gradient(saved: Any) -> None:
    name = _name_of_the_saver(saved)
    saved.meta_graphs[0].graph_def.library.gradient.add(function_name="x", gradient_func=name)


def another_function_as_the_saver(saved: Any) -> None:
    graph = saved.meta_graphs[0]
    graph.saver_def.save_tensor_name = "StatefulPartitionedCall:0"
    node = next(n for n in graph.graph_def.node if n.name == "StatefulPartitionedCall")
    next(functions(saved, node.attr["f"].func.name)).node_def.add(name="extra", op="SaveV2")


@pytest.mark.parametrize(
    "change",
    [
        called,
        called_by_name,
        called_from_a_list,
        called_at_the_top,
        kept_as_an_object,
        in_the_place_of_another,
        as_a_gradient,
        another_function_as_the_saver,
    ],
)
def test_the_functions_of_the_checkpoint_cannot_be_borrowed(change: Any, folder: Path) -> None:
    """They may touch files because nothing calls them: so nothing else may."""
    with pytest.raises(fc.ArtifactError) as caught:
        fc.load(edited(folder, change))
    assert any(name in str(caught.value) for name in CHECKPOINT)


def test_other_ways_to_bring_a_graph(folder: Path) -> None:
    original = (folder / "saved_model.pb").read_bytes()

    def of_tensorflow_1(saved: Any) -> None:
        saved.meta_graphs[0].ClearField("object_graph_def")

    def twice(saved: Any) -> None:
        saved.meta_graphs.add().CopyFrom(saved.meta_graphs[0])

    def named_like_an_operation(saved: Any) -> None:
        next(functions(saved, "signature_wrapper")).signature.name = "WriteFile"

    def another_object(saved: Any) -> None:
        saved.meta_graphs[0].object_graph_def.nodes[0].user_object.identifier = "_tf_keras_layer"

    def a_registered_object(saved: Any) -> None:
        saved.meta_graphs[0].object_graph_def.nodes[0].registered_name = "package.Class"

    for change, message in (
        (of_tensorflow_1, "one graph, of TensorFlow 2"),
        (twice, "one graph, of TensorFlow 2"),
        (named_like_an_operation, "'WriteFile' has the name of an operation"),
        (another_object, "_tf_keras_layer"),
        (a_registered_object, "package.Class"),
    ):
        (folder / "saved_model.pb").write_bytes(original)
        refused(edited(folder, change), message)
    for name in ("saved_model.pbtxt", "saved_model.cpb"):
        (folder / name).write_text("")
        sign(folder)
        refused(folder, name, "one file")
        (folder / name).unlink()
    (folder / "saved_model.pb").write_bytes(b"\xff" * 20)
    sign(folder)
    refused(folder, "damaged")
    (folder / "saved_model.pb").unlink()
    sign(folder)
    refused(folder, "saved_model.pb")


def test_an_archive_that_would_fill_the_disk(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = Manifest.from_json((artifact / MANIFEST).read_bytes(), "")
    pack_bundle(artifact, manifest, tmp_path / "program.ism")
    refused(bomb(tmp_path / "program.ism"), "far more than it holds")
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", 1 << 20)
    with zipfile.ZipFile(tmp_path / "zeros.ism", "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("savedmodel/zeros", bytes(2 << 20))
    refused(tmp_path / "zeros.ism", "far more than it holds", f"{2 << 20:,}")


def test_the_list_holds_nothing_that_touches_the_world() -> None:
    """TensorFlow's own names for reading, writing, sending, decoding and calling out."""
    words = ("File", "Read", "Write", "Save", "Restore", "PyFunc", "Print", "Send", "Recv", "Summary", "Dataset")
    words += (
        "Iterator",
        "Immutable",
        "Debug",
        "Remote",
        "Rpc",
        "Custom",
        "Decode",
        "Encode",
        "Queue",
        "Abort",
        "Session",
    )
    touching = {name for name in OPERATIONS if any(word in name for word in words)}
    assert touching == {"DisableCopyOnRead", "ReadVariableOp", "TensorArrayReadV3", "TensorArrayWriteV3"}
    assert not OPERATIONS & CHECKPOINT
    known = set(dir(tf.raw_ops))
    assert {name for name in OPERATIONS if name not in known} == {n for n in OPERATIONS if n.startswith("Xla")}
