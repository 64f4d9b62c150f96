"""`trimtab serve`: the collector."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path
from typing import Annotated, Any

import typer

from trimtab_monitor.cli.failure import failing_as
from trimtab_monitor.misspelt import misspelt
from trimtab_monitor.presence import FolderLock, announce
from trimtab_monitor.report.address import data_folder
from trimtab_monitor.server import bind, inherited, url_of
from trimtab_monitor.settings import Settings
from trimtab_monitor.settings_load import SettingsInvalid, load_settings
from trimtab_monitor.store.protocols import StoreError, StoreUnavailable
from trimtab_monitor.teardown import Teardown

_LOOPBACK = ("127.", "::1", "localhost")


def command(
    host: Annotated[str | None, typer.Option(help="The address to listen on; 127.0.0.1 by default.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on; 8787 by default, 0: any.")] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings; without it, trimtab.toml if there.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Where data is kept; TRIMTAB_DIR or .trimtab by default."),
    ] = None,
    embedded: Annotated[bool, typer.Option("--embedded", hidden=True)] = False,
    fd: Annotated[int | None, typer.Option(hidden=True)] = None,
    lock_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Take in what training jobs send, watch over them, and tell people."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with failing_as("serve"):
        settings = _settings(config, host, port)
        for told in misspelt(os.environ):
            typer.echo(f"trimtab serve: {told}", err=True)
        _serve(settings, data_folder(folder, os.environ), embedded=embedded, fd=fd, lock_fd=lock_fd)


def _settings(config: Path | None, host: str | None, port: int | None) -> Settings:
    given = {"host": host, "port": port}
    flags: dict[str, Any] = {"server": {name: value for name, value in given.items() if value is not None}}
    try:
        return load_settings(config, flags)
    except SettingsInvalid as error:
        raise ValueError(error) from None


def _serve(settings: Settings, folder: Path, *, embedded: bool, fd: int | None, lock_fd: int | None) -> None:
    from trimtab_monitor.app import build  # the web framework takes most of a second to import

    with Teardown() as stop:
        lock = FolderLock.take(folder) if lock_fd is None else FolderLock(lock_fd)
        stop.add("folder lock", lock.release)
        listener = _listen(settings) if fd is None else inherited(fd)
        stop.add("listener", listener.close)
        url = url_of(listener)
        try:
            server = build(settings, folder, url, stop, embedded=embedded)
        except StoreError as error:
            raise ValueError(error) from None
        except StoreUnavailable as error:
            raise RuntimeError(f"{folder} cannot be written to now: {error}; make room on its disk") from None
        if not embedded:
            announce(folder, url)
            typer.echo(f"trimtab: the collector is at {url}, its data in {folder}", err=True)
        server.serve_on(listener)
    if server.crash is not None:
        raise RuntimeError(f"stopped by a fault of the collector: {server.crash}")


def _listen(settings: Settings) -> socket.socket:
    listener = bind(settings.server.host, settings.server.port)
    if not settings.server.host.startswith(_LOOPBACK):
        typer.echo(
            f"trimtab: listening on {settings.server.host}: anybody who can reach it can read and write",
            err=True,
        )
    return listener
