"""The command line: `fastism-compiler COMMAND`, or `python -m fastism_compiler COMMAND`.

One module per command.
"""

from __future__ import annotations

import click

from fastism_compiler._version import __version__
from fastism_compiler.cli.bench import bench
from fastism_compiler.cli.check import check
from fastism_compiler.cli.convert import convert
from fastism_compiler.cli.demo import demo
from fastism_compiler.cli.explain import explain
from fastism_compiler.cli.export import export
from fastism_compiler.cli.failures import DEBUG, Commands
from fastism_compiler.cli.plot import plot
from fastism_compiler.cli.report import report
from fastism_compiler.cli.scan import scan
from fastism_compiler.cli.variants import variants
from fastism_compiler.cli.verify import verify
from fastism_compiler.host.quiet import quieten


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option("--debug", is_flag=True, envvar=DEBUG, help="Print the traceback of an error too.")
def main(debug: bool) -> None:
    """Fast, exact in-silico mutagenesis for Keras 3, ONNX and SavedModel models."""
    quieten()


for _command in (scan, variants, check, convert, plot, report, explain, verify, export, bench, demo):
    main.add_command(_command)
