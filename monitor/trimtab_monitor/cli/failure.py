"""How a command ends when it cannot go on: one line on standard error, and the promised exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

FAILED = 1
WRONG_INPUT = 2


@contextmanager
def failing_as(command: str) -> Iterator[None]:
    """Turn what can be expected to go wrong into a message and exit code 1 (it failed) or 2 (wrong input)."""
    try:
        yield
    except BrokenPipeError:  # who read the output has seen enough: the command line ends quietly
        raise
    except ValueError as error:
        _end(command, error, WRONG_INPUT)
    except (OSError, RuntimeError) as error:
        _end(command, error, FAILED)


def _end(command: str, error: Exception, code: int) -> None:
    sys.stderr.write(f"trimtab {command}: {error}\n")
    raise typer.Exit(code) from None
