"""`python -m fastism_compiler` is the command `fastism-compiler`."""

from fastism_compiler.cli import main

main(prog_name="fastism-compiler")
