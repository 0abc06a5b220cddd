"""A scan, or variants, as one HTML file: a table, and pictures of the strongest. Needs the `plot` extra."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fastism_compiler.arguments import or_none, text, whole
from fastism_compiler.host.files import check_ending, whole_file, write_text
from fastism_compiler.host.marks import mark
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.plot.scan import Scan, open_store, read_scan
from fastism_compiler.plot.style import check_target
from fastism_compiler.report.page import page
from fastism_compiler.report.sections import figures
from fastism_compiler.report.summary import Summary, summarise
from fastism_compiler.report.variants import variants_page
from fastism_compiler.runs.jobs import VARIANTS

_LISTED = 2000
"""Rows of the table: more make browsers slow."""


def write_report(
    store: str | os.PathLike[str],
    path: str | os.PathLike[str],
    top: int = 10,
    output: str | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write a self-contained HTML report of a scan, or of variants.

    The table lists the sequences by their strongest effect (the strongest 2,000 of more). The strongest `top`
    get a logo and a heatmap around that effect, or the effects of all ranges in a scan of ranges. The file holds
    everything it needs, pictures included, and is readable on a light or dark background. Variants are listed in the
    same way, with a picture for each of the first `top` chromosomes.

    Args:
        store: what a scan or `scan_variants` wrote.
        path: an `.html` file; one that `write_report` wrote, and nobody has changed since, is replaced.
        top: how many sequences (of variants: chromosomes) get pictures.
        output: `NAME`, or `NAME:INDEX` for one number of it (default: all outputs count).
        overwrite: also replace any other file.

    Raises:
        InputError: not a complete store, or (of variants) no such output.
        StoreError: files of the store are damaged or missing.
        UnsupportedError: zarr or matplotlib is not installed.
        OptionError: an unknown output, `top` below 0, a file that is not as `write_report` has written it, or one that
            cannot be written.
    """
    target = check_target(path, ("html", "htm"), overwrite=overwrite)
    top, output = whole("top", top, 0), or_none(text)("output", output)
    group = open_store(store)
    listed = group.attrs.get("format") == VARIANTS
    pieces = (
        variants_page(group, output, top, _LISTED) if listed else _of_scan(read_scan(group, str(store)), output, top)
    )
    try:
        with whole_file(target, lambda partial: check_ending(partial, b"</html>\n")) as partial:
            write_text(partial, pieces)
            mark(partial)
    except OSError as error:
        raise OptionError("the file could not be written", got=f"{path}: {error}") from error


def _of_scan(scan: Scan, output: str | None, top: int) -> Iterable[str]:
    outputs = [scan.output(name) for name in (scan.outputs if output is None else [output])]
    summaries = summarise(scan, outputs)
    return page(scan, summaries, _sections(scan, summaries, top), _LISTED)


def _sections(scan: Scan, summaries: Sequence[Summary], top: int) -> Iterator[tuple[Summary, Mapping[str, Any]]]:
    for summary in summaries[:top]:
        if summary.change:
            yield summary, figures(scan, summary)


__all__ = ["write_report"]
