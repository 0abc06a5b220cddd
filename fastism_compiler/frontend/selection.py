"""`outputs=` and `reduce=`: what of the model's outputs leaves the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from fastism_compiler.frontend.keras.lowering import Lowered
from fastism_compiler.frontend.keras.reduction import fuse_reduction
from fastism_compiler.ir import Graph, Node, TensorType
from fastism_compiler.ir.errors import OptionError

Finish = Callable[[list[Any]], list[Any]]
"""Selected and reduced outputs, flat; leading axis: rows or sequences."""


class Packer(Protocol):
    """What becomes of a model's flat outputs.

    Attributes:
        structure: the nest of the results, with a sample of each.
        names: flat names of the results.
    """

    structure: Any
    names: list[str]

    def __call__(self, flat: list[Any]) -> list[Any]:
        """Flat selected and reduced outputs."""

    def pack(self, flat: Sequence[Any]) -> Any:
        """Flat results in the nest that users see."""


class Selection:
    """Selects outputs, indexes them, reduces them; knows the nest of the result.

    Args:
        structure: the nest the model returns.
        names: output layer names in flat order.
        types: output types in flat order.
        outputs: `{key: index}`; key is a dict key, an output-layer name or a
            number, index a numpy index into `*out` (None: all of it).
        reduce: callable on the selected outputs (same nest, leading axis rows).

    Attributes:
        contiguous: nothing is left to do with a narrowed graph's outputs (see `narrow`).
    """

    def __init__(
        self,
        structure: Any,
        names: Sequence[str],
        types: Sequence[TensorType],
        outputs: Mapping[Any, Any] | None,
        reduce: Callable[[Any], Any] | None,
    ) -> None:
        self._reduce = reduce
        self.contiguous = False
        self._keys = _keys(structure, len(names))
        self._chosen = self._choose(names, outputs)
        if _is_flat_dict(structure, len(names)):
            # a dict is packed by its sorted keys, in whichever order they were chosen
            self._chosen.sort(key=lambda chosen: chosen[0])
        self._nest = structure if outputs is None else self._selected_nest(structure)
        sample = [tf.zeros([1, *t.shape[1:]], t.dtype) for t in types]
        selected = [_index(sample[i], index) for i, index in self._chosen]
        self.structure = self._reduced(selected)
        self.names = self._result_names(names)

    def __call__(self, flat: list[Any]) -> list[Any]:
        """Flat selected and reduced outputs."""
        return self._finish([_index(flat[i], index) for i, index in self._chosen])

    def narrow(self, lowered: Lowered) -> Finish:
        """Let the graph compute only what is selected: other outputs go, positions outside are cut off.

        A reduction of known operations becomes part of the graph.

        Returns:
            What is left to do with the graph's outputs as they are then.
        """
        graph = lowered.graph
        narrowed = [_narrow(graph, graph.outputs[i], index) for i, index in self._chosen]
        graph.outputs = [node for node, _ in narrowed]
        self.contiguous = all(index is None for _, index in narrowed)
        if self.contiguous and self._reduce is not None:
            self.contiguous = fuse_reduction(lowered, self._reduce, self._pack_selected)
        if self.contiguous:
            return list

        def finish(flat: list[Any]) -> list[Any]:
            return self._finish([_index(x, index) for x, (_, index) in zip(flat, narrowed, strict=True)])

        return finish

    def pack(self, flat: Sequence[Any]) -> Any:
        """Flat results in the nest that users see."""
        return keras.tree.pack_sequence_as(self.structure, list(flat))

    def _choose(self, names: Sequence[str], outputs: Mapping[Any, Any] | None) -> list[tuple[int, Any]]:
        if outputs is None:
            return [(i, None) for i in range(len(names))]
        if not outputs:
            raise OptionError("outputs= must select something", expected=self._keys, got=outputs)
        chosen = []
        for key, index in outputs.items():
            if key in self._keys:
                chosen.append((self._keys.index(key), index))
            elif key in names:
                chosen.append((list(names).index(key), index))
            elif isinstance(key, int) and -len(names) <= key < len(names):
                chosen.append((key % len(names), index))
            else:
                raise OptionError("no such output", expected=f"one of {[*self._keys, *names]}", got=repr(key))
            _check_lists(index)
            if chosen[-1][0] in [i for i, _ in chosen[:-1]]:
                raise OptionError("an output can be selected once", got=repr(key))
        return chosen

    def _selected_nest(self, structure: Any) -> Any:
        if _is_flat_dict(structure, len(self._keys)):
            return {self._keys[i]: i for i, _ in self._chosen}
        return [i for i, _ in self._chosen] if len(self._chosen) > 1 else self._chosen[0][0]

    def _result_names(self, names: Sequence[str]) -> list[str]:
        """Flat names of the results: dict keys, else the names of the outputs as they are, else numbers."""
        count = len(keras.tree.flatten(self.structure))
        if _is_flat_dict(self.structure, count):
            return [str(key) for key in sorted(self.structure)]
        if self._reduce is None:
            return [str(names[i]) for i, _ in self._chosen]
        return [f"output_{i}" for i in range(count)]

    def _finish(self, selected: list[Any]) -> list[Any]:
        return list(keras.tree.flatten(self._reduced(selected)))

    def _reduced(self, selected: list[Any]) -> Any:
        packed = self._pack_selected(selected)
        return packed if self._reduce is None else self._reduce(packed)

    def _pack_selected(self, selected: list[Any]) -> Any:
        if _is_flat_dict(self._nest, len(self._chosen)):
            keys = [self._keys[i] for i, _ in self._chosen]
            return dict(zip(keys, selected, strict=True))
        return keras.tree.pack_sequence_as(self._nest, selected)


def _keys(structure: Any, count: int) -> list[Any]:
    return sorted(structure) if _is_flat_dict(structure, count) else list(range(count))


def _is_flat_dict(structure: Any, count: int) -> bool:
    return isinstance(structure, Mapping) and len(structure) == count


def _check_lists(index: Any) -> None:
    """Two lists would be taken pairwise by numpy, crosswise here: neither is a good guess."""
    if sum(isinstance(item, list | np.ndarray) for item in _items(index)) > 1:
        raise OptionError("an output index may hold one list", expected="slices and integers beside it", got=index)


def _items(index: Any) -> tuple[Any, ...]:
    """One integer, slice or list per axis from 1 on."""
    if index is None:
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
    """Slice `node` to the hull of what `index` picks; the index that is left (None: all of it)."""
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
