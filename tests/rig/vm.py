"""A part of the suite again, in a virtual machine with systemd and nothing but cgroup v2, beside the rest of it.

Where there is no KVM the machine is software-emulated: ten times slower, so patience is longer there, and only
what depends on the kernel's setup runs: everything marked `cgroup2`, with one of the clients. The other tests wait
for something much of the time, so the machine has a low priority and takes what they leave of the processors.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from rig import cache
from rig.clients import find

PROJECT = Path(__file__).parents[2]
RUNNER = PROJECT.parent / "shared" / "vm-run"
LIMIT = 1500  # seconds for the run inside, alone or beside others
_TOOLS = ("docker-registry", "nft")  # taken along from this machine
_MARK = "mark.cgroup2"
_NICENESS = 5
_NO_MACHINE = 125  # the runner's status where it is not that of pytest
_BOOT = "900"  # seconds, the first time and beside others
_INSIDE = {
    "PATH": "/opt/tools:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PROA_MUST_WORK": "1",
    "PROA_TEST_PATIENCE": "20",
    "PROA_TEST_CACHE": "/opt/cache",
    "HOME": "/root",
}


class VirtualRun:
    """pytest in a virtual machine, from its start to its end. Everything it needs is in `directory`."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="vm-"))
        self._out = self.directory / "output"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, niceness: int = _NICENESS) -> Self:
        with self._out.open("wb") as out:
            self._process = subprocess.Popen(
                # whatever ends pytest, this ends, too
                ["setpriv", "--pdeathsig", "TERM", "nice", "-n", str(niceness), *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={"VM_BOOT_TIMEOUT": _BOOT, **os.environ},
                start_new_session=True,  # an interrupt is for pytest, which ends this
            )
        return self

    def wait(self) -> tuple[int, str]:
        """Return the exit status and what was printed."""
        assert self._process
        if self._process.wait() == _NO_MACHINE:
            self.start(niceness=0)  # the host was too busy for it to come up: once more, with nothing beside it
        return self._process.wait(), self._out.read_text(errors="replace")

    def stop(self) -> None:
        """End what still runs; nothing stays."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)  # the runner ends its machine
            self._process.wait(30)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _command(self) -> list[str]:
        shares = [
            f"{PROJECT}:{PROJECT}:ro",
            f"{self._tools()}:/opt/tools:ro",
            f"{cache.directory()}:/opt/cache:ro",
        ]
        if not sys.base_prefix.startswith("/usr"):
            shares.append(f"{sys.base_prefix}:{sys.base_prefix}:ro")
        sharing = [word for share in shares for word in ("--share", share)]
        return [str(RUNNER), "exec", *sharing, "--cwd", str(PROJECT), "--timeout", str(LIMIT), "--", *_inside()]

    def _tools(self) -> Path:
        tools = self.directory / "tools"
        tools.mkdir(exist_ok=True)
        for name in _TOOLS:
            shutil.copy2(shutil.which(name) or name, tools / name)
        shutil.copy2(find("docker")[0], tools / "docker")
        return tools


def _inside() -> list[str]:
    settings = [f"{name}={value}" for name, value in _INSIDE.items()]
    program = str(PROJECT / ".venv/bin/pytest")
    options = [
        "-m", "cgroup2", "-k", "not proa", "-q", "--durations=10", "-p", "no:cacheprovider", "--timeout=900",
        "-o", "faulthandler_timeout=880",
    ]  # fmt: skip
    return ["env", *settings, program, *options, "tests/suites", "tests/unit/cgroups", *_marked()]


def _marked() -> Iterator[str]:
    """Files with a test for there: importing all the others would take longer than these tests."""
    for path in sorted((PROJECT / "tests/e2e").glob("test_*.py")):
        if _MARK in path.read_text():
            yield str(path.relative_to(PROJECT))
