"""The command line: commands, options and exit codes. The program is `main`."""

from doltflow.cli.entry import main

__all__ = ["main"]
