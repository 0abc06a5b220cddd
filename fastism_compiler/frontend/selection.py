"""`outputs=` and `reduce=`: what of the model's outputs leaves the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from fastism_compiler.frontend.around import Around
from fastism_compiler.frontend.nest import keys_of, numbered, pack, unpack
from fastism_compiler.frontend.source import FlatFunction, SourceModel
from fastism_compiler.ir import Graph, Node
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.ir.queries import rule_of
from fastism_compiler.results.frames import Frame


class Packer(Protocol):
    """Selects and reduces a model's flat outputs, and packs the results.

    Attributes:
        nest: the nest of the results, around their numbers in flat order.
        samples: flat results of one sequence, `[1, *out]` each.
        names: flat names of the results.
        frames: of each result, which positions around the change it holds; None: all of them.
    """

    nest: Any
    samples: list[Any]
    names: list[str]
    frames: list[Frame | None]

    def __call__(self, flat: list[Any]) -> list[Any]:
        """Flat selected and reduced outputs."""

    def pack(self, flat: Sequence[Any]) -> Any:
        """Flat results in the nest that users see."""

    def unpack(self, packed: Any) -> list[Any]:
        """Results in the nest that users see, flat again."""


@dataclass(frozen=True, slots=True)
class Remainder:
    """What is left to do with the outputs of a narrowed graph; called with them as a flat list, rows on the first axis.

    Attributes:
        indices: what to pick of each output; None: all of it.
        reduce: applied to the picked outputs, flat; None: nothing.
    """

    indices: tuple[Any, ...]
    reduce: FlatFunction | None = None

    @property
    def nothing(self) -> bool:
        """Whether nothing is left: the graph's outputs are the results."""
        return self.reduce is None and all(index is None for index in self.indices)

    def __call__(self, flat: list[Any]) -> list[Any]:
        """The results, flat."""
        picked = [_index(x, index) for x, index in zip(flat, self.indices, strict=True)]
        return picked if self.reduce is None else self.reduce(picked)


@dataclass(frozen=True, slots=True, eq=False)
class Narrowed:
    """A model that computes only what is selected.

    Attributes:
        source: the model, its graph narrowed.
        left: what remains to be done with the graph's outputs.
    """

    source: SourceModel
    left: Remainder


class Selection:
    """Selects outputs, indexes them, reduces them; knows the nest of the result.

    Args:
        source: the model.
        outputs: `{key: index}`; key is a dict key, an output-layer name or a
            number, index a numpy index into `*out` (None: all of it).
        reduce: callable on the selected outputs (same nest, rows on the first axis).

    Attributes:
        nest, samples, names, frames: of the results, as in `Packer`.

    Raises:
        OptionError: an output that the model does not have, or an index that does not fit it.
    """

    def __init__(
        self, source: SourceModel, outputs: Mapping[Any, Any] | None, reduce: Callable[[Any], Any] | None
    ) -> None:
        keys = keys_of(source.nest)
        self._keys = keys if keys is not None else list(range(len(source.output_names)))
        self._chosen = self._choose(source.output_names, outputs)
        if keys is not None:
            # a dict keeps the order of the model, in whichever order its keys were chosen
            self._chosen.sort(key=lambda chosen: chosen[0])
        self._selected = source.nest if outputs is None else self._selected_nest(keys is not None)
        types = [n.type for n in source.graph.outputs]
        zeros = [tf.zeros([1, *t.shape[1:]], t.dtype) for t in types]
        selected = [_index(zeros[i], index) for i, index in self._chosen]
        self._reduce = None if reduce is None else _on_flat(reduce, self._selected)
        self.nest, self.samples = self._selected, selected
        if reduce is not None:
            if any(isinstance(index, Around) for _, index in self._chosen):
                raise OptionError("reduce= takes whole outputs, not positions around the change", got="fc.around")
            self.nest, self.samples = numbered(_tried(reduce, pack(self._selected, selected)))
        self.names = self._result_names(source.output_names)
        self.frames: list[Frame | None] = [None] * len(self.samples)

    def __call__(self, flat: list[Any]) -> list[Any]:
        """Flat selected and reduced outputs."""
        selected = [_index(flat[i], index) for i, index in self._chosen]
        return selected if self._reduce is None else self._reduce(selected)

    def narrow(self, source: SourceModel, cover: int = 1) -> Narrowed:
        """Let the graph compute only what is selected: other outputs go, positions outside are cut off.

        A reduction of known operations becomes part of the graph. `source` stays as it is.

        Args:
            source: the model.
            cover: width of the widest change range, in letters; it sets the width of frames.
        """
        graph = source.graph.copy()
        narrowed = [_narrow(graph, graph.outputs[i], index) for i, index in self._chosen]
        for k, (node, _) in enumerate(narrowed):
            if rule_of(node).framed:
                self.frames[k] = frame = Frame.of(node)
                further = [node.type.extent(i) for i in range(2, node.type.rank)]
                self.samples[k] = np.zeros((1, frame.width(cover), *further), node.type.dtype)
        graph.outputs = [node for node, _ in narrowed]
        indices = tuple(index for _, index in narrowed)
        if self._reduce is not None and Remainder(indices).nothing:
            reduced = graph.copy()
            results = source.origin.append(reduced, source.bindings, self._reduce)
            if results is not None:
                reduced.outputs = results
                return Narrowed(replace(source, graph=reduced), Remainder((None,) * len(results)))
        return Narrowed(replace(source, graph=graph), Remainder(indices, self._reduce))

    def pack(self, flat: Sequence[Any]) -> Any:
        """Flat results in the nest that users see."""
        return pack(self.nest, flat)

    def unpack(self, packed: Any) -> list[Any]:
        """Results in the nest that users see, flat again."""
        return unpack(self.nest, packed)

    def _choose(self, names: Sequence[str], outputs: Mapping[Any, Any] | None) -> list[tuple[int, Any]]:
        if outputs is None:
            return [(i, None) for i in range(len(names))]
        if not outputs:
            raise OptionError("outputs= must select something", expected=self._keys, got=outputs)
        chosen = []
        for key, index in outputs.items():
            if key in self._keys:
                chosen.append((self._keys.index(key), index))
            elif key in names and list(names).count(key) > 1:
                numbers = [i for i, name in enumerate(names) if name == key]
                raise OptionError("several outputs have this name; choose by number", expected=numbers, got=repr(key))
            elif key in names:
                chosen.append((list(names).index(key), index))
            elif isinstance(key, int) and -len(names) <= key < len(names):
                chosen.append((key % len(names), index))
            else:
                known = list(dict.fromkeys([*self._keys, *names]))
                raise OptionError("no such output", expected=f"one of {known}", got=repr(key))
            _check_lists(index)
            if chosen[-1][0] in [i for i, _ in chosen[:-1]]:
                raise OptionError("an output can be selected once", got=repr(key))
        return chosen

    def _selected_nest(self, in_dict: bool) -> Any:
        if in_dict:
            return {self._keys[i]: place for place, (i, _) in enumerate(self._chosen)}
        return list(range(len(self._chosen))) if len(self._chosen) > 1 else 0

    def _result_names(self, names: Sequence[str]) -> list[str]:
        """Flat names of the results: dict keys, else the names of the outputs as they are, else numbers."""
        keys = keys_of(self.nest)
        if keys is not None:
            return [str(key) for key in keys]
        if self._reduce is None:
            return [names[i] for i, _ in self._chosen]
        return [f"output_{i}" for i in range(len(self.samples))]


def _on_flat(reduce: Callable[[Any], Any], nest: Any) -> FlatFunction:
    """A user's function of a nest as one of flat outputs."""
    return lambda flat: numbered(reduce(pack(nest, flat)))[1]


def _tried(reduce: Callable[[Any], Any], outputs: Any) -> Any:
    """The result of a user's function on some outputs, once TensorFlow has traced it.

    Raises:
        OptionError: the function raised anything.
    """
    try:
        tf.function(reduce, autograph=False).get_concrete_function(outputs)
        return reduce(outputs)
    except Exception as error:
        names = f"a dict with the keys {list(outputs)}" if isinstance(outputs, dict) else type(outputs).__name__
        raise OptionError(
            "reduce= failed when it was called with the selected outputs, as tensors",
            expected=f"a function of {names}, made of keras.ops or tf (numpy cannot be traced)",
            got=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
        ) from error


def _check_lists(index: Any) -> None:
    """Refuse an index of two lists: numpy would pair them, `_index` would combine each with each."""
    if sum(isinstance(item, list | np.ndarray) for item in _items(index)) > 1:
        raise OptionError("an output index may hold one list only", expected="slices or integers otherwise", got=index)


def _items(index: Any) -> tuple[Any, ...]:
    """One integer, slice or list per axis, from axis 1; empty for None and `Around`, which are not indexed here."""
    if index is None or isinstance(index, Around):
        return ()
    return index if isinstance(index, tuple) else (index,)


def _picked(item: Any, extent: int) -> Any:
    """The positions on one axis that an item of an index picks: a number, or an array.

    Raises:
        OptionError: neither an integer, a slice nor a list of integers, or one that is out of range.
    """
    if not isinstance(item, int | np.integer | slice | list | np.ndarray):
        raise OptionError("an output index is made of integers, slices and lists", got=repr(item))
    try:
        picked = np.arange(extent)[item]
    except IndexError as error:
        raise OptionError("an output index must fit the output", expected=f"within {extent}", got=repr(item)) from error
    if picked.size == 0:
        raise OptionError("an output index must pick something", expected=f"within {extent}", got=repr(item))
    return picked


def _narrow(graph: Graph, node: Node, index: Any) -> tuple[Node, Any]:
    """Slice `node` to the hull of what `index` picks; also the index that remains to apply (None: nothing)."""
    if isinstance(index, Around):
        return index.on(graph, node), None
    left: list[Any] = []
    for axis, item in enumerate(_items(index), start=1):
        extent = node.type.extent(axis)
        picked = _picked(item, extent)
        begin, end = int(picked.min()), int(picked.max()) + 1
        if (begin, end) != (0, extent):
            attrs = {"axis": axis, "begin": begin, "end": end}
            node = graph.add("slice", (node,), attrs, layer=node.layer, name=node.name)
        left.append(int(picked) - begin if picked.ndim == 0 else (picked - begin).tolist())
    whole = all(item == list(range(node.type.extent(axis))) for axis, item in enumerate(left, start=1))
    return node, None if whole else tuple(left)


def _index(x: Any, index: Any) -> Any:
    """`x[:, index]` with numpy meaning for integers, slices and lists."""
    axis = 1
    for item in _items(index):
        picked = _picked(item, x.shape[axis])
        x = tf.gather(x, picked, axis=axis)
        axis += picked.ndim
    return x
