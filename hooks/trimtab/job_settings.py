"""What the environment says about how a job is watched; the arguments of `watch()` come first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from trimtab.environ import flag, integer
from trimtab.identity import check_run_id

MIB: Final = 2**20
AUTO: Final = "TRIMTAB_AUTO"
"""Watches a framework's trainers without a line of code, where the framework takes callbacks of packages."""

_SMALLEST_RING: Final = 64 * 1024


@dataclass(frozen=True)
class JobSettings:
    """How a job is watched. Every field has its environment variable, named in `from_environ`.

    `url`: the collector, None to start an embedded one. `folder`: where the spool (and the embedded
    collector's database) lives, None for the default. `run` and `attempt`: given by whatever restarts the
    job. `project` and `name`: the run's, where the call gives none. `ring_bytes` is what the ring begins
    with; `spool_bytes` and `spool_days` bound what waits for the collector. `snapshot_every` (steps) and
    `snapshot_keep` bound what a rollback can go back to. `close_seconds` bounds what is waited for at the
    end.

    Raises:
        ValueError: a value is out of its range.
    """

    url: str | None = None
    folder: Path | None = None
    run: str | None = None
    attempt: int | None = None
    project: str | None = None
    name: str | None = None
    ring_bytes: int = 4 * MIB
    spool_bytes: int = 256 * MIB
    spool_days: int = 30
    snapshot_every: int = 25
    snapshot_keep: int = 4
    close_seconds: float = 5.0
    disabled: bool = False

    def __post_init__(self) -> None:
        if self.url is not None:
            check_url(self.url)
        if self.run is not None:
            check_run_id(self.run)
        _at_least("TRIMTAB_RING_BYTES", self.ring_bytes, _SMALLEST_RING)
        _at_least("TRIMTAB_SPOOL_BYTES", self.spool_bytes, MIB)
        _at_least("TRIMTAB_SPOOL_DAYS", self.spool_days, 1)
        _at_least("TRIMTAB_SNAPSHOT_EVERY", self.snapshot_every, 1)
        _at_least("TRIMTAB_SNAPSHOT_KEEP", self.snapshot_keep, 1)
        _at_least("TRIMTAB_ATTEMPT", self.attempt or 0, 0)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], url: str | None = None) -> JobSettings:
        """Read the `TRIMTAB_*` variables; `url`, if given, comes before the environment."""
        folder = environ.get("TRIMTAB_DIR")
        if url is None or url == "":
            url = environ.get("TRIMTAB_URL") or None
        return cls(
            url=check_url(url) if url is not None else None,
            folder=Path(folder).expanduser() if folder else None,
            run=environ.get("TRIMTAB_RUN") or None,
            attempt=integer(environ, "TRIMTAB_ATTEMPT"),
            project=environ.get("TRIMTAB_PROJECT") or None,
            name=environ.get("TRIMTAB_NAME") or None,
            ring_bytes=_int(environ, "TRIMTAB_RING_BYTES", cls.ring_bytes),
            spool_bytes=_int(environ, "TRIMTAB_SPOOL_BYTES", cls.spool_bytes),
            spool_days=_int(environ, "TRIMTAB_SPOOL_DAYS", cls.spool_days),
            snapshot_every=_int(environ, "TRIMTAB_SNAPSHOT_EVERY", cls.snapshot_every),
            snapshot_keep=_int(environ, "TRIMTAB_SNAPSHOT_KEEP", cls.snapshot_keep),
            disabled=flag(environ, "TRIMTAB_DISABLED"),
        )

    def spool_root(self, environ: Mapping[str, str]) -> Path:
        """Where the processes of this host keep what the collector has not confirmed yet.

        What belongs to another collector is not in the embedded one's, which takes all that it finds.
        """
        return self.data_folder(environ) / ("spool" if self.url is None else "spool-remote")

    def data_folder(self, environ: Mapping[str, str]) -> Path:
        """`TRIMTAB_DIR`; else `./.trimtab` beside the embedded collector, else the user's state folder."""
        if self.folder is not None:
            return self.folder.absolute()
        if self.url is None:
            return Path.cwd() / ".trimtab"
        state = environ.get("XDG_STATE_HOME")
        return (Path(state) if state else Path.home() / ".local" / "state") / "trimtab"


def check_url(url: str) -> str:
    """Return the collector's address without a slash at its end, or raise ValueError with the remedy."""
    if not isinstance(url, str) or not _is_address(url):
        raise ValueError(f"url: {url!r}: give the collector's address, such as http://collector.example:8787")
    if "@" in urlsplit(url).netloc:  # it is shown, kept and logged: the message does not repeat it
        raise ValueError("url: leave user name and password out: give the address alone, they are not sent")
    return url.rstrip("/")


def _is_address(url: str) -> bool:
    try:
        url.encode()
        parts = urlsplit(url)
        is_http = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        return is_http and not parts.query and not parts.fragment
    except ValueError:  # brackets that do not close, a port that is no number or too large
        return False


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name}: {value}: give {least} or more")


def _int(environ: Mapping[str, str], name: str, default: int) -> int:
    value = integer(environ, name)
    return default if value is None else value
