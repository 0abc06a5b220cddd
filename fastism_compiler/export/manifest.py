"""The manifest: what an artifact is, in JSON, beside the numbers it holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from fastism_compiler.errors import ArtifactError
from fastism_compiler.host.files import sha256
from fastism_compiler.mutations.layout import SequenceLayout

FORMAT = "fastism-program"
VERSION = 2
"""Raised when an older reader would misread a newer artifact, or a newer reader an older one."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output.

    Attributes:
        name: what the artifact calls it.
        shape: per sequence; the leading axis is left out.
        dtype: its dtype in the artifact.
        source: what the model calls it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    source: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known about an artifact without running it.

    Attributes:
        kind: `savedmodel`, `onnx` or `stablehlo`.
        package: version of this package that wrote it.
        model: name of the source model.
        source_digest: sha256 of the source model's configuration and weights.
        inputs: in flat order.
        sequence: which of them is mutated; `x` in the artifact.
        keys: dict keys in flat order, where the model takes a dict.
        vocabulary: how many tokens there are, where the sequence is tokens.
        alphabet: letters, in the order of `letters`.
        letters_kind: `channels` or `tokens`.
        letters: channel numbers, or tokens.
        starts: first position of each change range.
        ends: position behind each change range.
        outputs: in flat order, `reference` shapes; a scan has `[R]` in front, a saturation `[R, C]`.
        nest: how a program packs its outputs; leaves are numbers in flat order.
        model_dtypes: dtypes that a program casts its outputs to; may be empty.
        batch_size: sequences per block.
        naive_rows: whole mutants per call.
        plan: the plan's fields.
        plan_text: the plan as a table.
        graph_text: the annotated graph.
        notes: what else users should know.
        functions: names of the functions in the artifact.
        details: what only this kind of artifact needs.
        files: sha256 of every payload file by relative path.
        vocabularies: rows of the Embedding that reads each input (see `InputSpec`); empty: not known.
        layout: how callers hand over the sequence (see `InputSpec`); inside the artifact it is `[B, L, C]`.
    """

    kind: str
    package: str
    model: str
    source_digest: str
    inputs: tuple[TensorInfo, ...]
    sequence: int
    keys: tuple[str, ...] | None
    vocabulary: int | None
    alphabet: str
    letters_kind: str
    letters: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    outputs: tuple[TensorInfo, ...]
    nest: Any
    model_dtypes: tuple[str, ...]
    batch_size: int
    naive_rows: int
    plan: Mapping[str, Any]
    plan_text: str
    graph_text: str
    notes: tuple[str, ...]
    functions: tuple[str, ...]
    details: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    vocabularies: tuple[int | None, ...] = ()
    layout: SequenceLayout | None = None

    def to_json(self) -> str:
        """Canonical JSON, with a checksum over itself."""
        body = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return json.dumps({**body, "checksum": _checksum(body)}, indent=1, sort_keys=True) + "\n"

    @staticmethod
    def from_json(text: str | bytes, where: str) -> Manifest:
        """Read a manifest.

        Args:
            text: what `to_json` wrote.
            where: the artifact's name, for messages.

        Raises:
            ArtifactError: not a manifest, a damaged one, one of a newer version, or a program of an older one.
        """
        try:
            body = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ArtifactError("the manifest is damaged", expected="JSON", got=f"{where}: {error}") from error
        if not isinstance(body, dict) or body.get("format") != FORMAT:
            raise ArtifactError("not a program of this package", expected=f'"format": "{FORMAT}"', got=where)
        version = body.get("version")
        if isinstance(version, int) and version < VERSION and body.get("kind") == "savedmodel":
            raise ArtifactError(
                "the program was written by an older version of this package; export it again",
                expected=f"format version {VERSION}",
                got=f"{where}: version {version}, written by {body.get('package')}",
            )
        if not isinstance(version, int) or version > VERSION:
            raise ArtifactError(
                "the program was written by a newer version of this package; update fastism-compiler",
                expected=f"format version up to {VERSION}",
                got=f"{where}: version {version}, written by {body.get('package')}",
            )
        if body.pop("checksum", None) != _checksum(body):
            raise ArtifactError("the manifest is damaged", expected="its own checksum", got=where)
        try:
            return _manifest({f.name: body[f.name] for f in fields(Manifest)})
        except (KeyError, TypeError) as error:
            raise ArtifactError("the manifest is incomplete", got=f"{where}: {error!r}") from error


def _manifest(body: dict[str, Any]) -> Manifest:
    for name in ("inputs", "outputs"):
        body[name] = tuple(TensorInfo(**{**t, "shape": tuple(t["shape"])}) for t in body[name])
    layout = body.get("layout")
    if layout is not None:
        body["layout"] = SequenceLayout(**{**layout, "shape": tuple(layout["shape"])})
    for name, value in body.items():
        if isinstance(value, list) and name != "nest":
            body[name] = tuple(value)
    return Manifest(**body)


def _checksum(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def folder_digests(folder: Path, but: str) -> dict[str, str]:
    """sha256 of every file below `folder`, except the one called `but`, by relative path."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    named = {p.relative_to(folder).as_posix(): p for p in files}
    return {name: sha256(path) for name, path in named.items() if name != but}


def check_files(manifest: Manifest, folder: Path, where: str) -> None:
    """Check every payload file against its digest.

    Raises:
        ArtifactError: a file that is missing or differs.
    """
    for name, digest in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise ArtifactError("a file of the program is missing", expected=name, got=where)
        if sha256(path) != digest:
            raise ArtifactError("a file of the program is damaged", expected=f"sha256 {digest}", got=f"{where}: {name}")
