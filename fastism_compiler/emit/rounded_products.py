"""Products whose operands were rounded to TensorFloat-32, marked as such in a StableHLO module.

TensorFlow gives every product of a program the same precision, the highest
where the reference pass must be strict. An operand with no more digits than tensor
cores read loses nothing on them, so products of such operands may run there.
"""

from __future__ import annotations

import re

_DEFINITION = re.compile(r"\s*(%\w+)(?::\d+)? = (.*)")
_ROUNDING = re.compile(r"stablehlo\.reduce_precision .*format = e8m10\b")
_MOVE = re.compile(r"stablehlo\.(?:reshape|transpose|slice|dynamic_slice|reverse|broadcast_in_dim) (%\w+)")
_PRODUCT = re.compile(r"stablehlo\.(?:dot|dot_general|convolution)\(? ?(%\w+), (%\w+)")


def mark_rounded_products(text: str) -> str:
    """A module in which products of operands that were rounded to TensorFloat-32 have the default precision."""
    rounded: set[str] = set()
    return "\n".join(_marked(line, rounded) for line in text.splitlines()) + "\n"


def _marked(line: str, rounded: set[str]) -> str:
    """One line, marked if it is such a product; keeps `rounded`, the names of rounded values, up to date."""
    found = _DEFINITION.match(line)
    if not found:
        return line
    name, operation = found.groups()
    product, moved = _PRODUCT.match(operation), _MOVE.match(operation)
    exact = product is not None and rounded.issuperset(product.groups())
    rounded.discard(name)  # names are used again where another region has ended
    if _ROUNDING.match(operation) or (moved and moved[1] in rounded):
        rounded.add(name)
    return line.replace("HIGHEST", "DEFAULT") if exact else line
