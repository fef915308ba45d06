"""``python -m polyyolo``: the command line, where its program is not on PATH."""

from polyyolo.cli import main

main(prog_name="polyyolo")
