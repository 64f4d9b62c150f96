"""Where a run comes from: the cluster's name for its job, the commit of its code, the versions it uses."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trimtab import cluster
from trimtab.checkout import git_state
from trimtab.version import __version__


def origin(environ: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Return what is worth knowing of a run when it is over; the same on all of its ranks.

    The command line is not among it, nor is the environment: both may hold secrets.
    """
    facts = {**cluster.job_facts(environ), "git": git_state(folder), "versions": versions()}
    return {name: value for name, value in facts.items() if value}


def versions() -> dict[str, str]:
    """Return the versions of this package, of Python and, once the job has imported it, of torch."""
    known = {"trimtab": __version__, "python": platform.python_version()}
    torch = sys.modules.get("torch")
    built = getattr(torch, "version", None)
    for name, version in (
        ("torch", getattr(torch, "__version__", None)),
        ("cuda", getattr(built, "cuda", None)),
        ("rocm", getattr(built, "hip", None)),
    ):
        if version:
            known[name] = str(version)[:40]
    return known
