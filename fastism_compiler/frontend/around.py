"""`around`: select only the output positions near each change."""

from __future__ import annotations

from dataclasses import dataclass

from fastism_compiler.arguments import or_none, whole
from fastism_compiler.ir import Graph, Node
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.ir.ops.rule import DeltaLowering, Moves
from fastism_compiler.ir.queries import effect_on, rule_of

_STEPS = 5040
"""Distance of the two output positions whose letters are compared, which gives the letters per position. A multiple of
all small numbers, as several neighbouring positions of an upsampled output read the same letters."""


@dataclass(frozen=True, slots=True)
class Around:
    """Positions around a change, as an index in `outputs=` (see `around`).

    Attributes:
        reach: positions on either side.
        stride: letters per output position; None: derived from what the positions read.
        offset: first letter that output position 0 stands for; None: derived in the same way.
    """

    reach: int
    stride: int | None = None
    offset: int | None = None

    def on(self, graph: Graph, node: Node) -> Node:
        """Add the node of the output positions around each change.

        Raises:
            OptionError: an output without positions, or one whose positions do not follow the letters.
        """
        if graph.sequence is None or node.type.rank < 2 or not node.type.batched:
            raise OptionError("around() picks positions, and this output has none", got=node.layer)
        stride, offset = self.stride, self.offset
        if stride is None or offset is None:
            found = _place(graph, graph.sequence, node)
            stride, offset = stride or found[0], found[1] if offset is None else offset
        attrs = {"axis": 1, "reach": self.reach, "stride": stride, "offset": offset}
        return graph.add("around", (node,), attrs, layer=node.layer, name=node.name)


def _place(graph: Graph, sequence: Node, output: Node) -> tuple[int, int]:
    """Letters per output position, and the first of the letters in the middle of what position 0 reads.

    Raises:
        OptionError: its positions do not follow those of the sequence.
    """
    middle = output.type.extent(1) // 2
    here, further = (_letters_read(graph, sequence, output, middle + k) for k in (0, _STEPS))
    moved = None if here is None or further is None else further[0] - here[0]
    if here is None or not moved or moved < 0 or moved % _STEPS:
        raise OptionError(
            "around() needs to know which letters a position of the output stands for",
            expected="around(reach, stride=letters per position, offset=letters in front of the first)",
            got=f"output {output.layer!r}, whose positions do not follow those of the sequence",
        )
    stride = moved // _STEPS
    return stride, (here[0] + here[1] - stride) // 2 - middle * stride


def _letters_read(graph: Graph, sequence: Node, output: Node, position: int) -> tuple[int, int] | None:
    """Letters `[first, stop)` that an output position reads through ops that map positions; None: not determined."""
    reads: dict[Node, dict[int, tuple[int, int]]] = {output: {1: (position, position + 1)}}
    for node in reversed(graph.nodes()):
        for axis, (lo, hi) in reads.get(node, {}).items() if node is not sequence else ():
            for i, operand in enumerate(node.operands):
                for source in range(int(operand.type.batched), operand.type.rank):
                    effect = effect_on(node, i, source)
                    if not isinstance(effect, Moves) or effect.axis != axis:
                        continue
                    if rule_of(node).delta_lowering is DeltaLowering.CONCAT and node.attrs["axis"] == axis:
                        return None  # a position is of one operand or the other
                    first, stop = effect.map.backward(lo, hi)
                    known = reads.setdefault(operand, {}).get(source, (first, stop))
                    reads[operand][source] = min(known[0], first), max(known[1], stop)
    return reads.get(sequence, {}).get(1)


def around(reach: int, stride: int | None = None, offset: int | None = None) -> Around:
    """Select the output positions within `reach` of each change: `outputs={"head": fc.around(50)}`.

    What lies further away is neither computed nor returned. A result has `w + 2 reach` positions, where w is how many
    output positions the widest change range covers; the first lies `reach` before the change. Positions beyond the
    ends of the output, or further than `reach` from a narrower range, are NaN.

    Args:
        reach: positions of the output on either side of the change.
        stride: letters per position of the output (default: what convolutions, pools and crops make of it).
        offset: first letter that output position 0 stands for (default: in the middle of the letters that it
            depends on).

    Raises:
        OptionError: a reach or an offset below 0, or a stride below 1.
    """
    return Around(
        whole("reach", reach, 0),
        or_none(lambda name, value: whole(name, value, 1))("stride", stride),
        or_none(lambda name, value: whole(name, value, 0))("offset", offset),
    )
