"""`fastism-compiler check STORE`: whether every file of a store is as it was written."""

from __future__ import annotations

import sys

import click

import fastism_compiler as fc

_DAMAGED = 1


@click.command()
@click.argument("store", type=click.Path())
def check(store: str) -> None:
    """Read every file of STORE, and name those that are damaged or missing.

    The same scan or variants command, run again, writes only these again.

    Example: fastism-compiler check scan.zarr

    Exit codes: 0 complete and whole, 1 damaged or not complete, 2 no store.
    """
    report = fc.check_store(store)
    click.echo(str(report))
    sys.exit(0 if report.whole else _DAMAGED)
