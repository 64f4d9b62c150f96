"""The collector that a job brings along when none is set: a child process on loopback, one a folder.

The first job binds the port and hands the listening socket to the child, so that the address is known at once
and requests wait in the backlog while the child starts. The child inherits the folder's lock and holds it for
as long as it lives; jobs that come later see that the lock is taken and read the address from
`collector.json`.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from trimtab.identity import host_name

PREFERRED_PORT: Final = 8787
LOCK: Final = "collector.lock"
ADDRESS: Final = "collector.json"
LOG_FILE: Final = "collector.log"
_JOIN_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.02
_BACKLOG: Final = 128


class EmbeddedError(OSError):
    """No embedded collector can be started; says why and what to do."""


class CollectorAddress(msgspec.Struct, frozen=True):
    """What `collector.json` says: where the embedded collector listens, its process and its machine."""

    url: str
    pid: int
    host: str = ""


def start_or_join(folder: Path, command: Sequence[str] | None = None) -> str:
    """Return the address of the folder's collector, starting one if none runs.

    `command` starts the collector, `trimtab serve --embedded` unless given; the folder, the listening socket
    and the lock are appended as `--dir`, `--fd` and `--lock-fd`.

    Raises:
        EmbeddedError: the collector is not installed, or a file is where the folder should be.
        OSError: the folder cannot be used, or whoever starts the collector does not finish.
    """
    _make_folder(folder)
    deadline = time.monotonic() + _JOIN_SECONDS
    while True:
        lock = _take_lock(folder / LOCK)
        if lock is not None:
            return _start(folder, lock, command)
        address = read_address(folder)
        if address is not None:
            return _on_this_host(address)
        if time.monotonic() > deadline:
            raise EmbeddedError(f"{folder / LOCK} is held and {folder / ADDRESS} does not appear")
        time.sleep(_POLL_SECONDS)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise EmbeddedError(
            f"{folder}: a file is where the folder should be: set TRIMTAB_DIR to a folder"
        ) from error


def read_address(folder: Path) -> CollectorAddress | None:
    """Return what `collector.json` says; None: there is none, or its process is gone."""
    try:
        address = msgspec.json.decode((folder / ADDRESS).read_bytes(), type=CollectorAddress)
        os.kill(address.pid, 0)
    except (FileNotFoundError, ProcessLookupError, msgspec.DecodeError):
        return None
    except PermissionError:
        pass  # it lives, and is another user's
    return address


def _on_this_host(address: CollectorAddress) -> str:
    if address.host and address.host != host_name():
        raise EmbeddedError(
            f"the collector of this folder runs on {address.host} and listens to that machine only: "
            "set TRIMTAB_URL to a collector that all hosts reach, or TRIMTAB_DIR to a folder of this host"
        )
    return address.url


def _take_lock(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _start(folder: Path, lock: int, command: Sequence[str] | None) -> str:
    """Start the collector; this process's copies of the lock and the socket are closed, the child's stay."""
    try:
        port = _forget_last(folder)
        if command is None:
            command = _installed_command()
        with _listen(port) as listening:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            pid = _spawn(folder, command, listening.fileno(), lock)
        _write_address(folder, CollectorAddress(url, pid, host_name()))
    finally:
        os.close(lock)
    return url


def _forget_last(folder: Path) -> int:
    """Take away the address of the folder's last collector; return its port, for its page to stay there."""
    path = folder / ADDRESS
    try:
        last = msgspec.json.decode(path.read_bytes(), type=CollectorAddress)
        port = int(last.url.rpartition(":")[2])
    except (FileNotFoundError, ValueError):
        return PREFERRED_PORT
    finally:
        path.unlink(missing_ok=True)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(last.pid, os.WNOHANG)  # if this process had started it
    return port


def _installed_command() -> list[str]:
    for module in ("trimtab_monitor", "uvicorn"):
        if importlib.util.find_spec(module) is None:
            raise EmbeddedError(
                f"{module} is not installed: pip install 'trimtab[monitor]', or set TRIMTAB_URL"
            )
    # -P: what lies in the job's folder must not stand in for a module of the collector's.
    return [sys.executable, "-P", "-m", "trimtab_monitor", "serve", "--embedded"]


def _listen(port: int) -> socket.socket:
    """Listen on the port, or on any that is free."""
    for wanted in (port, 0):
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", wanted))
            listening.listen(_BACKLOG)
        except OSError:
            listening.close()
            if wanted == 0:
                raise
        else:
            return listening
    raise AssertionError("unreachable")


def _spawn(folder: Path, command: Sequence[str], listening: int, lock: int) -> int:
    """Start the child, detached: it outlives the job, and Ctrl-C in the terminal is not for it."""
    arguments = ["--dir", str(folder), "--fd", str(listening), "--lock-fd", str(lock)]
    with (folder / LOG_FILE).open("ab") as log:
        child = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(listening, lock),
            start_new_session=True,
        )
    # The child is nobody's to wait for: Popen would warn of it when it is collected.
    child.returncode = 0
    return child.pid


def _write_address(folder: Path, address: CollectorAddress) -> None:
    unfinished = folder / f"{ADDRESS}.{os.getpid()}"
    unfinished.write_bytes(msgspec.json.encode(address))
    unfinished.replace(folder / ADDRESS)
