"""A lock that one process of a host holds, and that outlives nobody."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

from trimtab.sensors.host_lock import HostLock


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = textwrap.dedent(
        f"""
        import time, pathlib
        from trimtab.sensors.host_lock import HostLock
        assert HostLock(pathlib.Path({str(path)!r})).take()
        print("held", flush=True)
        time.sleep(600)
        """
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        lock = HostLock(path)
        assert not lock.take()
        owner.kill()
        owner.wait()
        deadline = time.monotonic() + 30.0
        while not lock.take() and time.monotonic() < deadline:
            time.sleep(0.002)
        assert lock.held
        lock.free()
    assert not path.exists()


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    one, other = HostLock(tmp_path / "lock"), HostLock(tmp_path / "lock")
    assert one.take()
    assert one.take()
    assert not other.take()
    other.free()
    assert not other.take()
    one.free()
    assert not one.held
    assert other.take()
    assert not one.take()
    other.free()
