"""`load`: a program from an artifact, without the model it was compiled from."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from fastism_compiler.errors import ArtifactError, UnsupportedError
from fastism_compiler.export.bundle import copy_folder, pack_bundle, unpack_bundle
from fastism_compiler.export.check_graph import check_savedmodel
from fastism_compiler.export.loaded import LoadedEngine, LoadedPacker, LoadedRows, WholeEngine
from fastism_compiler.export.manifest import Manifest
from fastism_compiler.export.moved import Artifact, Moved, runtime_of, whole_rows
from fastism_compiler.export.target import check_format, new_artifact
from fastism_compiler.host.process import check_process
from fastism_compiler.ir import ChangeRanges, TensorType
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.mutations.inputs import InputSpec
from fastism_compiler.mutations.letters import Channels, Letters, Tokens
from fastism_compiler.planning.memory import parse_budget, rows_within
from fastism_compiler.planning.plan import Plan, PlannedLayer
from fastism_compiler.runtime.blocks import LoopShape
from fastism_compiler.runtime.engine import AnyEngine, Engine
from fastism_compiler.runtime.foreign_engine import Runtime, ran_by
from fastism_compiler.runtime.program import Program
from fastism_compiler.runtime.runtimes import runtime_named
from fastism_compiler.runtime.scoring import Parts, Scorer, Share


def load(path: str | os.PathLike[str], safe_mode: bool = True, runtime: str = "tensorflow") -> LoadedISM:
    """Load a program exported as `savedmodel` or `ism`, with the calls, plan and metadata that it had.

    Nothing is unpickled and no Python code comes from the file. Its graphs
    are read as data first: a graph with an operation that is not on the list
    of those that only compute (none of them touches files, processes, the
    network or Python) is refused.

    Args:
        path: a directory or an `.ism` file that `CompiledISM.export` wrote.
        safe_mode: check the graphs. False: trust the file as you trust a program.
        runtime: what runs it: `"tensorflow"`; `"jax"` (extra `[jax]`), on JAX's first device; `"onnxruntime"` (extra
            `[onnx]`); `"auto"`: the first of these that has a GPU, where TensorFlow has none.

    Returns:
        The program. What only the model itself can score (rows that cannot be
        trusted, `variants` of widths it was not compiled for) is scored by
        the artifact's own reference function on whole mutants.

    Raises:
        ArtifactError: no such program, a damaged one, one of a newer format, or one that `safe_mode` refuses.
        OptionError: no such runtime, or one that is not installed.
        UnsupportedError: a float64 program for JAX; a lower precision for ONNX Runtime. When it runs first, an
            operation that the runtime does not know.
    """
    check_process()
    runtime_named(runtime)  # a wrong name is said before the file is read
    if not isinstance(path, str | os.PathLike):
        raise ArtifactError("a program is loaded from a path", expected="a directory or an .ism file", got=repr(path))
    path = Path(path)
    scratch = Path(tempfile.mkdtemp(prefix="fastism-"))
    try:
        manifest = _open(path, scratch)
        chosen = runtime_of(runtime, manifest)
        return LoadedISM(path, manifest, _restore(scratch, path, safe_mode), (safe_mode, runtime), chosen)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _open(path: Path, scratch: Path) -> Manifest:
    """The manifest of an artifact, whose SavedModel is copied into `scratch`, its files checked there.

    Read once: whoever can write to the artifact cannot swap it between the check and the load.
    """
    if not path.exists():
        raise ArtifactError("the program does not exist", expected="a directory or an .ism file", got=str(path))
    try:
        return copy_folder(path, scratch) if path.is_dir() else unpack_bundle(path, scratch)
    except OSError as error:
        raise ArtifactError(
            "the program cannot be read into a temporary folder",
            expected=f"permission to read it, and room in {scratch} (TMPDIR says where)",
            got=f"{path}: {error.strerror or error}",
        ) from error


def _restore(folder: Path, path: Path, safe_mode: bool) -> Any:
    if safe_mode:
        check_savedmodel(folder, str(path))
    try:
        return tf.saved_model.load(str(folder))
    except Exception as error:  # TensorFlow raises many kinds; the files are those that were written
        raise ArtifactError("this version of TensorFlow cannot load the program", got=f"{path}: {error}") from error


class LoadedISM(Program):
    """A program that came from an artifact. Made by `fastism_compiler.load`.

    It scores as every `Program` does. Its plan and graph are those of the
    program that was exported.

    Attributes:
        manifest: what the artifact says about itself.
        path: where it was loaded from; exporting it again copies it from there.
    """

    def __init__(
        self, path: Path, manifest: Manifest, module: Any, options: tuple[bool, str], runtime: Runtime | None
    ) -> None:
        self.path, self.manifest, self._module = path.absolute(), manifest, module
        self._options, self._runtime = options, runtime
        elsewhere = None if runtime is None else Artifact(runtime)
        ranges = ChangeRanges(np.array(manifest.starts, np.int64), np.array(manifest.ends, np.int64))
        details = manifest.details["engines"]
        reference = module.signatures["reference_plain"]
        model = LoadedRows(reference, manifest.inputs, manifest.outputs, manifest.naive_rows)
        parts = Parts(
            inputs=_inputs(manifest),
            selection=LoadedPacker(manifest.nest, manifest.outputs),
            naive=model,
            ranges=ranges,
            letters=_letters(manifest),
            whole=None if elsewhere is None else whole_rows(elsewhere, module.reference_plain, manifest, model),
        )
        make_engine = _engines(manifest, module, ranges, elsewhere)
        buckets = [np.array(d["members"]) for d in details]

        def scorer_for(sparse: bool) -> Scorer:
            if sparse:
                raise UnsupportedError("a loaded program returns whole results", expected="sparse=False")
            engines = [make_engine(ranges.subset(b)) for b in buckets]

            def specialise(others: ChangeRanges) -> list[Share]:
                return [(np.arange(others.count), make_engine(others))]

            return Scorer(parts, buckets, engines, specialise, manifest.batch_size)

        super().__init__(
            name=manifest.model,
            scorer_for=scorer_for,
            alphabet=manifest.alphabet,
            batch_size=manifest.batch_size,
            most_rows=rows_within(parts.selection, parse_budget(None)),
            precision=str(manifest.details["precision"]),
            output_dtypes=manifest.model_dtypes,
            notes=[*manifest.notes, *self._ran_by],
        )

    @property
    def graph(self) -> GraphText:
        """The annotated graph of the program, as text."""
        return GraphText(self.manifest.model, self.manifest.graph_text)

    @property
    def function(self) -> Any:
        """The artifact's `scan` function."""
        return self._module.signatures["scan"]

    @property
    def engines(self) -> list[Engine]:
        """Empty: a loaded program has no compiled engines."""
        return []

    @property
    def plan(self) -> Plan:
        """The plan as it was when the program was exported."""
        body: dict[str, Any] = dict(self.manifest.plan)
        body["layers"] = tuple(PlannedLayer(**layer) for layer in body["layers"])
        for found in ("stops", "resumes", "composed"):
            body[found] = tuple((name, reason) for name, reason in body.get(found, ()))
        body["notes"] = (*body["notes"], *self._ran_by)
        return Plan(**body)

    @property
    def _ran_by(self) -> list[str]:
        return [] if self._runtime is None else [ran_by(self._runtime)]

    def text(self) -> str:
        """The canonical text of the annotated graph."""
        return self.manifest.graph_text

    def export(self, path: str | os.PathLike[str], format: str = "savedmodel", **options: Any) -> Manifest:
        """Write the loaded program again, as `savedmodel` or `ism`: a copy of what was loaded.

        Raises:
            ArtifactError: a target that exists or cannot be written, or a source that is gone, or another program now.
            UnsupportedError: a format that needs the model.
            OptionError: an option other than `overwrite`.
        """
        if check_format(format) not in ("savedmodel", "ism"):
            raise UnsupportedError(
                "a loaded program is exported as what it is; compile the model again for another format",
                expected="savedmodel or ism",
                got=repr(format),
            )
        unknown = sorted(set(options) - {"overwrite"})
        if unknown:
            raise OptionError("no such option for a loaded program", expected="overwrite", got=", ".join(unknown))
        with new_artifact(Path(path), **options) as scratch:
            source = scratch.folder / "unpacked"
            source.mkdir()
            manifest = _open(self.path, source)
            _check_same(manifest, self.manifest.to_json(), self.path)
            if format == "savedmodel":
                shutil.copytree(source, scratch.artifact)
            else:
                pack_bundle(source, manifest, scratch.artifact)
        return manifest

    def __reduce__(self) -> Any:
        """A loaded program is pickled as its path and its manifest; unpickling loads it again from that path."""
        return _load_again, (str(self.path), self.manifest.to_json(), *self._options)

    def to_keras_layer(self) -> Any:
        """Refused: the weights are in the functions of the artifact, and no layer can own them.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError("a loaded program is no Keras layer; compile the model again", got=str(self.path))


def _load_again(path: str, manifest: str, safe_mode: bool, runtime: str = "tensorflow") -> LoadedISM:
    """Load a pickled program again from its path.

    Raises:
        ArtifactError: nothing is there any more, or another program.
    """
    program = load(path, safe_mode, runtime)
    _check_same(program.manifest, manifest, program.path)
    return program


def _check_same(found: Manifest, loaded: str, path: Path) -> None:
    if found.to_json() != loaded:
        raise ArtifactError("another program lies where this one was loaded from", got=str(path))


@dataclass(frozen=True, slots=True)
class GraphText:
    """The annotated graph of a loaded program: its name, and its canonical text under `str`."""

    name: str
    text: str

    def __str__(self) -> str:
        return self.text


def _inputs(manifest: Manifest) -> InputSpec:
    return InputSpec(
        names=tuple(t.source for t in manifest.inputs),
        types=tuple(TensorType((None, *t.shape), t.dtype) for t in manifest.inputs),
        sequence=manifest.sequence,
        keys=manifest.keys,
        vocabulary=manifest.vocabulary,
        vocabularies=manifest.vocabularies,
        layout=manifest.layout,
    )


def _letters(manifest: Manifest) -> Letters:
    return Tokens(manifest.letters) if manifest.letters_kind == "tokens" else Channels(manifest.letters)


def _engines(
    manifest: Manifest, module: Any, ranges: ChangeRanges, elsewhere: Artifact | None
) -> Callable[[ChangeRanges], AnyEngine]:
    """The engine for a table of ranges: a stored one, or the reference function."""

    def part(name: str) -> Any:
        function = getattr(module, name)
        return function if elsewhere is None else Moved(elsewhere, function.concrete_functions[0])

    length = manifest.inputs[manifest.sequence].shape[0]
    whole = [None] * len(manifest.outputs)
    stored = []
    for details in manifest.details["engines"]:
        if details["naive"]:
            continue
        own = ranges.subset(np.array(details["members"]))
        passes = {p["sequences"]: part(p["name"]) for p in details["passes"]}
        sizes = [(LoopShape(p["sequences"], p["tiles"], p["rows"], watch=True), p["name"]) for p in details["loops"]]
        loops = {shape: part(name) for shape, name in sizes}
        groups = np.array(details["groups"])
        stored.append(LoadedEngine(own, groups, length, passes, loops, details["overhead"], whole))

    def make(wanted: ChangeRanges) -> AnyEngine:
        return next((e for e in stored if e.ranges.equals(wanted)), WholeEngine(wanted, whole))

    return make
