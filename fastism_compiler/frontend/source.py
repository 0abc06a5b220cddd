"""What a frontend hands over to the compiler: a model as a graph, and what only the model itself can do.

Nothing after the frontends knows which framework a model was written in. A
frontend is a folder with a subclass of `Frontend`, and one line in
`frontend/registry.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from fastism_compiler.frontend.bindings import Bindings
from fastism_compiler.ir import Graph, Node
from fastism_compiler.mutations.inputs import InputSpec
from fastism_compiler.runtime.naive import WholeScorer

FlatFunction = Callable[[list[Any]], list[Any]]
"""Flat outputs in, flat results out."""


class Weight(Protocol):
    """One weight of a model, as its framework keeps it.

    Attributes:
        path: its name, layers included.
        shape: its shape.
        value: the `tf.Variable` that programs read.
    """

    path: str

    @property
    def shape(self) -> Any:
        """Its shape."""

    @property
    def value(self) -> Any:
        """The `tf.Variable` that programs read."""


class Origin(ABC):
    """The model behind a graph: what a compiled program still asks of it.

    Only `oracle` has no default. The defaults are those of a model whose
    weights are constants, and whose framework cannot trace a user's function.
    """

    @abstractmethod
    def oracle(self, rows: int, *, jit: bool = False) -> WholeScorer:
        """The model itself on whole sequences: naive ISM, and what programs are verified against.

        Args:
            rows: maximum number of sequences per call.
            jit: compile it with XLA.
        """

    def append(self, graph: Graph, bindings: Bindings, function: FlatFunction) -> list[Node] | None:
        """Append a user's function of the outputs to a graph of this model.

        Args:
            graph: changed; where None is returned, unused nodes may stay in it.
            bindings: changed; gets the variables and constants that the function reads.
            function: of the flat outputs of `graph`, rows on the first axis.

        Returns:
            The nodes of its results; None if it cannot be traced, or is made of operations without a rule.
        """
        return None

    def weights(self, bindings: Bindings) -> list[Weight]:
        """The weights that a program may take as arguments, in the order of the model, then others of `bindings`."""
        return []

    def weights_as(self, weights: Sequence[Weight], values: Sequence[Any]) -> AbstractContextManager[Any]:
        """A context in which graph parameters and opaque calls read `values` in place of `weights`."""
        return nullcontext()

    def fingerprint(self) -> Mapping[str, Any]:
        """What programs depend on besides the values of weights, by layer name; empty where nothing can change."""
        return {}

    def rehearse(self) -> None:  # noqa: B027 (most frameworks have nothing to do)
        """Trace the model once if it has custom layers, so that attributes which their calls write are written."""

    def steady(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
        """The part of two fingerprints, from before and after the model was used, that its use does not change."""
        return one

    def changed(self, before: Mapping[str, Any]) -> list[str]:
        """Names of the layers that were changed since the fingerprint `before` was taken."""
        return []

    def configuration(self) -> str | None:
        """The model's configuration as text, for its digest; None: the graph is digested instead."""
        return None


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a frontend needs to know to read a model.

    Attributes:
        seq_input: the mutated input, by position or name.
        length: sequence length where the model leaves it open.
        custom_objects: for loading a model from a path.
        safe_mode: refuse code in a model file.
        letters: size of the alphabet, which tells the axis of letters from that of positions; None: positions first.
    """

    seq_input: int | str = 0
    length: int | None = None
    custom_objects: Mapping[str, Any] | None = None
    safe_mode: bool = True
    letters: int | None = 4


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ModelInterface:
    """What a model takes and returns.

    Attributes:
        model: the loaded model; only code of the same framework may use it.
        name: of the model; letters, digits and underscores.
        inputs: what it takes.
        nest: how it returns its outputs: lists, tuples and dicts around their numbers in flat order.
        output_names: in flat order.
        output_dtypes: in flat order, as the model returns them.
        origin: what only the model itself can do.
        sha256: of what was read (a Keras file, the files of a SavedModel, an ONNX model's content); else empty.
    """

    model: Any
    name: str
    inputs: InputSpec
    nest: Any
    output_names: tuple[str, ...]
    output_dtypes: tuple[str, ...]
    origin: Origin
    sha256: str = ""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SourceModel(ModelInterface):
    """A model as the compiler takes it.

    Attributes:
        graph: its inputs, sequence and outputs set, shapes and dtypes inferred, no pass run.
        bindings: what the names in the graph stand for.
        notes: what users should know about this model.
    """

    graph: Graph
    bindings: Bindings
    notes: tuple[str, ...] = ()


class Frontend(ABC):
    """Reads the models of one framework."""

    @abstractmethod
    def accepts(self, model: Any) -> bool:
        """Whether this is a model of this framework, or a path to one."""

    @abstractmethod
    def read(self, model: Any, options: ReadOptions) -> SourceModel:
        """The model as a graph.

        Raises:
            ModelError: an unreadable file, or a model without a graph that can be traced.
            UnsupportedError: a construct that cannot be compiled, by name.
            InputError: a `seq_input` that the model does not have, or that is no sequence.
            OptionError: a `length` that is invalid, or not the model's own.
        """

    def describe(self, model: Any, options: ReadOptions) -> ModelInterface:
        """What the model takes and returns; where this needs no graph, also of a model that cannot be lowered.

        Raises:
            FastISMError: as `read`.
        """
        return self.read(model, options)
