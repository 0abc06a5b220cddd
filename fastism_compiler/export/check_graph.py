"""SavedModels read as data: every operation of a graph is looked at before TensorFlow loads it.

Loading a SavedModel runs the initialisers in it, and any function in it may
run later. A checksum is no protection: whoever changes the graph writes a new
one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from fastism_compiler.errors import ArtifactError
from fastism_compiler.export.allowed_operations import CHECKPOINT, OBJECTS, OPERATIONS

_GRAPH = "saved_model.pb"
_OTHER_GRAPHS = ("saved_model.pbtxt", "saved_model.cpb")
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def check_savedmodel(folder: Path, where: str) -> None:
    """Refuse a SavedModel that does more than compute.

    Args:
        folder: the SavedModel.
        where: the program's name, for messages.

    Raises:
        ArtifactError: an operation, or a kind of Python object, that is not on the lists of
            `allowed_operations.py`; a graph of TensorFlow 1, or in another file than `saved_model.pb`; a damaged one.
    """
    graph = _read(folder, where)
    library = graph.graph_def.library.function
    savers = _checkpoint_functions(graph)
    names = {function.signature.name for function in library}
    for name in sorted(names):
        if op_def_registry.get(name) is not None:
            raise _refused(where, f"function {name!r} has the name of an operation")
    _check_nodes(graph.graph_def.node, OPERATIONS | names, "the main graph", where)
    for function in library:
        name = function.signature.name
        operations = OPERATIONS | names | (CHECKPOINT if name in savers else frozenset())
        _check_nodes(function.node_def, operations, f"function {name!r}", where)
    for thing in graph.object_graph_def.nodes:
        kind = thing.user_object.identifier if thing.WhichOneof("kind") == "user_object" else "_generic_user_object"
        if kind not in OBJECTS or thing.registered_name:
            raise _refused(where, f"a Python object of kind {thing.registered_name or kind!r}")


def _read(folder: Path, where: str) -> Any:
    """The one graph that TensorFlow would load."""
    other = [name for name in _OTHER_GRAPHS if (folder / name).exists()]
    if other or not (folder / _GRAPH).is_file():
        raise ArtifactError("the graph of a program is in one file", expected=_GRAPH, got=f"{where}: {other or 'none'}")
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString((folder / _GRAPH).read_bytes())
    except DecodeError as error:
        raise ArtifactError("the graph of the program is damaged", got=f"{where}: {_GRAPH}: {error}") from error
    if len(saved.meta_graphs) != 1 or not saved.meta_graphs[0].HasField("object_graph_def"):
        # TensorFlow would load it another way, and run its restore operation
        raise ArtifactError(
            "the program has one graph, of TensorFlow 2", expected="tf.saved_model.save", got=f"{where}: {_GRAPH}"
        )
    return saved.meta_graphs[0]


def _check_nodes(nodes: Any, operations: frozenset[str] | set[str], place: str, where: str) -> None:
    for node in nodes:
        if node.op not in operations:
            raise _refused(where, f"operation {node.op} (node {node.name!r} of {place})")


def _checkpoint_functions(graph: Any) -> set[str]:
    """The functions that save and restore variables, as long as nothing else can reach them."""
    saver, library = graph.saver_def, graph.graph_def.library
    entries = {saver.save_tensor_name.partition(":")[0], saver.restore_op_name.partition(":")[0]} - {""}
    main, elsewhere = graph.graph_def.node, set()
    savers = {node.attr["f"].func.name for node in main if node.name in entries and node.op in _CALLS}
    for node in main:
        if node.name not in entries:
            elsewhere |= set(_mentioned(node))
    for function in library.function:
        for node in function.node_def:
            elsewhere |= set(_mentioned(node))
        if "api_implements" in function.attr:  # TensorFlow may put it in the place of another function
            elsewhere.add(function.signature.name)
    elsewhere |= {gradient.gradient_func for gradient in (*library.gradient, *library.registered_gradients)}
    objects = graph.object_graph_def.SerializeToString()
    return {name for name in savers if name not in elsewhere and name.encode() not in objects}


def _mentioned(node: Any) -> Iterator[str]:
    """Functions that a node calls, or names in an attribute."""
    yield node.op
    for value in node.attr.values():
        yield value.func.name
        yield from (f.name for f in value.list.func)
        yield value.s.decode(errors="replace")


def _refused(where: str, what: str) -> ArtifactError:
    return ArtifactError(
        "the program holds something that is not on the list of what only computes",
        expected="operations that neither touch files, processes and the network nor call Python; or, if you trust "
        "whoever made the program, fastism_compiler.load(path, safe_mode=False)",
        got=f"{where}: {what}",
    )
