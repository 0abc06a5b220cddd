"""Letters: how a sequence spells them, as channels of `[B, L, C]` or as integer tokens `[B, L]`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastism_compiler.errors import InputError
from fastism_compiler.ir import Graph
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.queries import call_of, rule_of
from fastism_compiler.mutations.inputs import Array


@dataclass(frozen=True, slots=True)
class Channels:
    """One channel per letter; a replacement is `[w, C]`. Other channels are never touched."""

    numbers: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many letters there are."""
        return len(self.numbers)

    @property
    def columns(self) -> int:
        """Numbers that spell one position of a replacement."""
        return len(self.numbers)

    def read(self, x: Array) -> Array:
        """What a replacement would replace: `[..., columns]`."""
        return x[..., list(self.numbers)]

    def write(self, row: Array, replacement: Array) -> None:
        """Put a replacement `[w, columns]` over `w` positions of one sequence."""
        row[:, list(self.numbers)] = replacement

    def alone(self, dtype: Any) -> Array:
        """Each letter as a replacement of one position: `[count, columns]`."""
        return np.eye(self.count, dtype=dtype)


@dataclass(frozen=True, slots=True)
class Tokens:
    """One integer per position; a replacement is `[w]`, kept as `[w, 1]`."""

    ids: tuple[int, ...]

    numbers: tuple[int, ...] = ()
    columns = 1

    @property
    def count(self) -> int:
        """How many letters there are."""
        return len(self.ids)

    def read(self, x: Array) -> Array:
        """What a replacement would replace: `[..., 1]`."""
        return x[..., None]

    def write(self, row: Array, replacement: Array) -> None:
        """Put a replacement `[w, 1]` over `w` positions of one sequence."""
        row[:] = replacement[:, 0]

    def alone(self, dtype: Any) -> Array:
        """Each letter as a replacement of one position: `[count, 1]`."""
        return np.array(self.ids, dtype=dtype)[:, None]


Letters = Channels | Tokens


def letters_of(graph: Graph, chosen: Sequence[int] | None, vocabulary: int | None) -> Letters:
    """The letters of a model's sequence: `chosen` channels or tokens, all of them by default.

    Args:
        graph: the model.
        chosen: channel numbers, or tokens.
        vocabulary: how many tokens there are; None where nothing reads tokens.

    Raises:
        InputError: an input `[B, L]` that no Embedding and no one-hot encoding reads.
        OptionError: a letter that the sequence does not have, or one named twice.
    """
    sequence = graph.sequence
    if sequence is None:
        raise InputError("the graph has no sequence")
    if sequence.type.rank == 3:
        return Channels(_chosen(chosen, sequence.type.extent(2), "channel"))
    if vocabulary is None:
        raise InputError(
            "the sequence input must be [batch, length, channels], or integer tokens [batch, length] that an "
            "Embedding reads",
            expected="rank 3, or tokens",
            got=f"input {sequence.layer!r}: {sequence.type}",
        )
    return Tokens(_chosen(chosen, vocabulary, "token"))


def vocabulary(graph: Graph) -> int | None:
    """How many tokens the sequence may hold: rows of the smallest embedding that reads it, else one-hot channels.

    It may be read through ops that keep it integer, or through a cast.
    """
    if graph.sequence is None:
        return None
    readers = list(_token_readers(graph.sequence, computed=True))
    return min(_vocabularies(readers, closed=True) or _vocabularies(readers, closed=False), default=None)


def vocabularies(graph: Graph, smallest: int | None) -> tuple[int | None, ...]:
    """For each input, the rows of the smallest embedding that reads it; None where none does.

    Args:
        graph: the model.
        smallest: rows of the model's smallest embedding, for those that are left to Keras; None: it has none.
    """
    found: list[int | None] = []
    for node in graph.inputs:
        readers = list(_token_readers(node, computed=node is graph.sequence))
        left = any(rule_of(n).opaque and n.attrs["what"] == "Embedding" for n in readers)
        # nothing is known of what reads a sequence of tokens: then an embedding is the likely reader
        unseen = node is graph.sequence and node.type.rank == 2 and not _vocabularies(readers, closed=False)
        rows = _vocabularies(readers, closed=True)
        if smallest is not None and (left or (unseen and not rows)):
            rows.append(smallest)
        found.append(min(rows, default=None))
    return tuple(found)


def _vocabularies(readers: Sequence[Node], closed: bool) -> list[int]:
    """Vocabulary sizes of readers that refuse other tokens (closed), or of those that make zeros of them."""
    known = []
    for node in readers:
        rule = rule_of(node)
        if rule.vocabulary is not None and rule.closed_vocabulary == closed:
            known.append(rule.vocabulary(call_of(node)))
    return known


def _token_readers(source: Node, computed: bool) -> Iterator[Node]:
    """What reads the tokens of an input: embeddings, one-hot encodings, and calls that are left to Keras.

    Args:
        source: the input.
        computed: also what reads whole numbers computed from them.
    """
    waiting, seen = [source], {source}
    while waiting:
        node = waiting.pop()
        for user in node.users:
            rule = rule_of(user)
            if rule.vocabulary is not None or rule.opaque:
                yield user
            whole = computed and user.type.dtype.startswith(("int", "uint"))
            if user not in seen and rule.vocabulary is None and (rule.keeps_tokens or whole):
                seen.add(user)
                waiting.append(user)


def _chosen(chosen: Sequence[int] | None, count: int, what: str) -> tuple[int, ...]:
    if chosen is None:
        return tuple(range(count))
    numbers = tuple(int(c) for c in chosen)
    if not numbers or len(set(numbers)) < len(numbers) or min(numbers) < 0 or max(numbers) >= count:
        raise OptionError(f"channels must be distinct {what} numbers", expected=f"0 .. {count - 1}", got=list(chosen))
    return numbers
