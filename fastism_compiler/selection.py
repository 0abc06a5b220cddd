"""`outputs=` and `reduce=`: what of the model's outputs leaves the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fastism_compiler.ir import TensorType
from fastism_compiler.ir.errors import OptionError


class Selection:
    """Selects outputs, indexes them, reduces them; knows the nest of the result.

    Args:
        structure: the nest the model returns.
        names: output layer names in flat order.
        types: output types in flat order.
        outputs: `{key: index}`; key is a dict key, an output-layer name or a
            number, index a numpy index into `*out` (None: all of it).
        reduce: callable on the selected outputs (same nest, leading axis rows).
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
        self._keys = _keys(structure, len(names))
        self._chosen = self._choose(names, outputs)
        self._nest = structure if outputs is None else self._selected_nest(structure)
        sample = [tf.zeros([1, *t.shape[1:]], t.dtype) for t in types]
        self.structure = self._apply(sample)

    def __call__(self, flat: list[Any]) -> list[Any]:
        """Flat selected and reduced outputs."""
        return list(keras.tree.flatten(self._apply(flat)))

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
        return chosen

    def _selected_nest(self, structure: Any) -> Any:
        if isinstance(structure, Mapping):
            return {self._keys[i]: i for i, _ in self._chosen}
        return [i for i, _ in self._chosen] if len(self._chosen) > 1 else self._chosen[0][0]

    def _apply(self, flat: list[Any]) -> Any:
        selected = [_index(flat[i], index) for i, index in self._chosen]
        packed = self._pack_selected(selected)
        return packed if self._reduce is None else self._reduce(packed)

    def _pack_selected(self, selected: list[Any]) -> Any:
        if isinstance(self._nest, Mapping) and len(self._nest) == len(self._chosen):
            keys = [self._keys[i] for i, _ in self._chosen]
            return dict(zip(keys, selected, strict=True))
        return keras.tree.pack_sequence_as(self._nest, selected)


def _keys(structure: Any, count: int) -> list[Any]:
    if isinstance(structure, Mapping):
        return sorted(structure)
    return list(range(count))


def _index(x: Any, index: Any) -> Any:
    """`x[:, index]` with numpy meaning for integers, slices and lists."""
    if index is None:
        return x
    items = index if isinstance(index, tuple) else (index,)
    axis = 1
    for item in items:
        if isinstance(item, list | np.ndarray):
            x = tf.gather(x, np.asarray(item) % x.shape[axis], axis=axis)
            axis += 1
        elif isinstance(item, int | np.integer):
            x = tf.gather(x, int(item) % x.shape[axis], axis=axis)
        elif isinstance(item, slice):
            x = x[(*[slice(None)] * axis, item)]
            axis += 1
        else:
            raise OptionError("an output index is made of integers, slices and lists", got=repr(item))
    return x
