"""The command line: one file a command, wired in one visible list.

Exit codes: 0 done, 1 it failed, 2 the arguments or the input are wrong. A message on standard error says
what, where and what to do.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the `trimtab` command."""
    try:
        from trimtab_monitor.cli.root import app

        app()
    except ModuleNotFoundError as error:
        sys.exit(_missing(error))


def _missing(error: ModuleNotFoundError) -> int:
    sys.stderr.write(
        f"trimtab: the Python package {error.name!r} is not installed; "
        "the command line and the collector need the extra: pip install 'trimtab[monitor]'\n"
    )
    return 1
