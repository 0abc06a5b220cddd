"""Damage to files, drawn from a random generator: flipped bits, cuts, swapped lines, extreme numbers, encodings."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

Damage = Callable[[Random, bytes], bytes]

NUMBERS = (
    b"0", b"-1", b"-0", b"+5", b"3.9", b"1e9", b"1_000", b"nan", b"inf", b"-inf", b"2147483648", b"9223372036854775808",
    b"9" * 19, b"9" * 400, b"9" * 5000, b"1e39", b"0x10", "²".encode(), "٣".encode(), b"", b" 7", b"7 ", b"007",
)  # fmt: skip
TEXTS = (
    b"\x00", b"\r", b"\x1b[31m", b"\x7f", b"\xff", b"\xc3", b"\xe2\x80\xae", b"=1+1", b"@x", b"$\\frac$", b"../../x",
    b"%s%n", b"<b>", b"'", b'"', b"{}", b"[" * 2000, b"*", b"<DEL>", b"N[10:500[", b".", b",", b":", b"A" * 3000, b"-",
)  # fmt: skip


def flip_bits(rng: Random, data: bytes) -> bytes:
    """One to eight bits."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwrite(rng: Random, data: bytes) -> bytes:
    """Some bytes by random ones, all zeros or all ones."""
    at, size = rng.randrange(len(data) + 1), rng.randint(1, 40)
    new = rng.choice((rng.randbytes(size), bytes(size), b"\xff" * size))
    return data[:at] + new + data[at + size :]


def cut(rng: Random, data: bytes) -> bytes:
    """The end, the beginning, or a piece in between."""
    at, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return rng.choice((data[:at], data[at:], data[:at] + data[end:]))


def insert(rng: Random, data: bytes) -> bytes:
    """A text that programs stumble over."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(TEXTS) + data[at:]


def repeat(rng: Random, data: bytes) -> bytes:
    """A piece twice."""
    at, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return data[:end] + data[at:end] + data[end:]


def swap_lines(rng: Random, data: bytes) -> bytes:
    """Two lines in each other's place."""
    lines = data.split(b"\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]
    return b"\n".join(lines)


def change_line(rng: Random, data: bytes) -> bytes:
    """A line left out, twice, empty, or joined with the next."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    new = rng.choice(([], [lines[at]] * 2, [b""], [b"", b"", lines[at]], [b" ".join(lines[at : at + 2])]))
    return b"\n".join([*lines[:at], *new, *lines[at + 1 :]])


def change_field(rng: Random, data: bytes) -> bytes:
    """A field of one line left out, twice, exchanged, or another text."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    fields = lines[at].split(b"\t")
    i, j = rng.randrange(len(fields)), rng.randrange(len(fields))
    which = rng.randrange(4)
    if which == 0:
        del fields[i]
    elif which == 1:
        fields.insert(j, fields[i])
    elif which == 2:
        fields[i], fields[j] = fields[j], fields[i]
    else:
        fields[i] = rng.choice((*TEXTS, *NUMBERS))
    lines[at] = b"\t".join(fields)
    return b"\n".join(lines)


def change_number(rng: Random, data: bytes) -> bytes:
    """A number by an extreme one, or by what is none."""
    found = list(re.finditer(rb"[0-9]+", data))
    if not found:
        return insert(rng, data)
    chosen = rng.choice(found)
    return data[: chosen.start()] + rng.choice(NUMBERS) + data[chosen.end() :]


def encode(rng: Random, data: bytes) -> bytes:
    """Another encoding, a byte order mark, other ends of lines, other case."""
    text = data.decode("latin-1")
    return rng.choice(
        (
            lambda: text.encode("utf-16"),
            lambda: text.encode("utf-32-le"),
            lambda: b"\xef\xbb\xbf" + data,
            lambda: data.replace(b"\n", b"\r\n"),
            lambda: data.replace(b"\n", b"\r"),
            lambda: data.replace(b"\t", b" "),
            data.upper,
            data.swapcase,
        )
    )()


BYTES: Sequence[Damage] = (flip_bits, flip_bits, overwrite, cut, cut, insert, repeat)
"""For binary files."""
TEXT: Sequence[Damage] = (
    flip_bits, overwrite, cut, insert, repeat, swap_lines, change_line, change_field, change_field, change_number,
    change_number, encode,
)  # fmt: skip
"""For text files."""


def damaged(rng: Random, data: bytes, kinds: Sequence[Damage]) -> bytes:
    """`data` with one to three of these done to it; never the same bytes."""
    for _ in range(20):
        changed = data
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            changed = rng.choice(kinds)(rng, changed)
        if changed != data:
            return changed
    return data + b"\x00"


def first_difference(one: bytes, other: bytes) -> int:
    """How many bytes at the beginning are the same."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low
