"""The command line: one file per command group, loaded when it is called.

Each command parses, calls one library function and prints. Results go to stdout, progress and
logs to stderr; errors of ours become one line and their own exit code, others keep their traceback.
"""

from __future__ import annotations

from vae_anomaly.cli.group import cli, main

__all__ = ["cli", "main"]
