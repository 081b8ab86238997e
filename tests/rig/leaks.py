"""What a test run leaves behind: a pytest plugin that looks before and after and fails the run on a leak.

Looked at: mounts of every mount namespace that can be reached, control groups, network namespaces, links,
nftables tables, loop devices, processes, pytest's own descriptors and handlers of signals, and files in the places
engines use.

On a machine of its own (PROA_MUST_WORK=1, or PROA_LEAKS=all) every difference counts. Elsewhere other
people's work goes on beside the tests, so there only what carries the mark of this run counts: processes
have it in their environment, files and mounts under the run's own temporary folder, and of
the rest what names that folder; what remains is printed as a remark.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.needs import MUST_WORK

MARK = "PROA_TEST_RUN"
PATIENCE = 8.0  # seconds: the kernel takes network namespaces apart in the background
Found = dict[str, str]  # what identifies a thing -> how to tell a person about it

# Where engines and tests keep files; names that start like this are ours.
FILE_PLACES = ("/tmp", "/run", "/var/tmp", "/var/lib", "/var/log", "/dev/shm", "/etc")
OUR_NAMES = ("proa",)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:  # processes come and go
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _processes() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()]


def _command(pid: str) -> str:
    return _read(f"/proc/{pid}/cmdline").replace("\0", " ").strip() or f"[{_read(f'/proc/{pid}/comm').strip()}]"


def mount_namespaces() -> Found:
    found: Found = {}
    for pid in _processes():
        if namespace := _link(f"/proc/{pid}/ns/mnt"):
            found.setdefault(namespace, f"{namespace} of {pid} {_command(pid)}")
    return found


def mounts() -> Found:
    """Mounts of each mount namespace some process is in. A new namespace's copies of old ones are none."""
    found: Found = {}
    for description in mount_namespaces().values():
        pid = description.split()[2]
        for line in _read(f"/proc/{pid}/mountinfo").splitlines():
            words = line.split()
            source = " ".join(words[words.index("-") + 1 :][:2])
            found.setdefault(f"{words[4]} {source}", f"{words[4]} ({source}) seen by {pid} {_command(pid)}")
    return found


def cgroups() -> Found:
    """Control groups of every hierarchy."""
    found: Found = {}
    for line in _read("/proc/self/mountinfo").splitlines():
        words = line.split()
        if words[words.index("-") + 1] in ("cgroup", "cgroup2"):
            for folder, _, _ in os.walk(words[4]):
                inside = _read(f"{folder}/cgroup.procs").split()
                found[folder] = f"{folder} with processes {inside or 'none'}"
    return found


def network_namespaces() -> Found:
    """Network namespaces that a process lives in, holds open, or that are mounted somewhere."""
    found: Found = {}
    for pid in _processes():
        if (here := _link(f"/proc/{pid}/ns/net")) and here not in found:
            found[here] = f"{here} of {pid} {_command(pid)}"
        try:
            descriptors = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for number in descriptors:
            target = _link(f"/proc/{pid}/fd/{number}")
            if target.startswith("net:[") and target not in found:
                found[target] = f"{target} held open by {pid} {_command(pid)}"
    for line in _read("/proc/self/mountinfo").splitlines():
        words = line.split()
        if words[3].startswith("net:["):
            found.setdefault(words[3], f"{words[3]} mounted on {words[4]}")
    return found


def links() -> Found:
    return {name: f"link {name}" for name in os.listdir("/sys/class/net")}


def tables() -> Found:
    """nftables tables of this network namespace, by the tool that everybody trusts."""
    tool = shutil.which("nft")
    if not tool or os.geteuid() != 0:
        return {}
    with os.popen(f"{tool} list tables") as said:
        return {line.strip(): line.strip() for line in said}


def loop_devices() -> Found:
    found: Found = {}
    for name in os.listdir("/sys/block"):
        if backing := _read(f"/sys/block/{name}/loop/backing_file").strip():
            found[name] = f"{name} on {backing}"
    return found


def processes() -> Found:
    """Processes that this run started, at any remove: they inherit the run's mark in their environment."""
    mark = f"{MARK}={os.environ[MARK]}"
    found: Found = {}
    for pid in _processes():
        if pid != str(os.getpid()) and mark in _read(f"/proc/{pid}/environ").split("\0"):
            state = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1]
            if state not in ([], ["Z"]):
                found[pid] = f"{pid} {_command(pid)}"
    return found


def contained_processes() -> Found:
    """Processes of other pid namespaces: those of containers do not have the mark in their environment."""
    here = _link("/proc/self/ns/pid")
    return {
        pid: f"{pid} {_command(pid)}"
        for pid in _processes()
        if (there := _link(f"/proc/{pid}/ns/pid")) and there != here
    }


def descriptors() -> Found:
    """What pytest itself has open. Counted by kind, because numbers and positions change."""
    gc.collect()  # caught exceptions hold on to what their functions had open
    counts: dict[str, int] = {}
    for number in os.listdir("/proc/self/fd"):
        target = _link(f"/proc/self/fd/{number}")
        kind = target.split(":[")[0] if ":[" in target else target
        if kind and not kind.startswith(("/proc/", "/dev/null", "/dev/urandom")):
            counts[kind] = counts.get(kind, 0) + 1
    return {f"{kind} #{count}": kind for kind, total in counts.items() for count in range(total)}


def handlers() -> Found:
    """What pytest itself does at signals: an interrupt has to end it."""
    return {
        f"{number} {signal.getsignal(number)}": f"{signal.strsignal(number)}: {signal.getsignal(number)}"
        for number in signal.valid_signals()
    }


def files() -> Found:
    """Files in the places engines use, and everything in the run's own temporary folder but pytest's."""
    found: Found = {}
    for place in (*FILE_PLACES, tempfile.gettempdir()):
        own = place == tempfile.gettempdir()
        for name in os.listdir(place) if os.path.isdir(place) else ():
            if name.startswith(OUR_NAMES) or (own and not name.startswith("pytest-of-")):
                found[f"{place}/{name}"] = f"{place}/{name}"
    return found


KINDS: dict[str, Callable[[], Found]] = {
    "processes": processes,
    "processes in containers": contained_processes,
    "mount namespaces": mount_namespaces,
    "mounts": mounts,
    "control groups": cgroups,
    "network namespaces": network_namespaces,
    "links": links,
    "nftables tables": tables,
    "loop devices": loop_devices,
    "descriptors of pytest": descriptors,
    "signal handlers of pytest": handlers,
    "files": files,
}
# Counts everywhere: these can be told from other people's without doubt.
CERTAIN = {"processes", "descriptors of pytest", "signal handlers of pytest"}


class LeakCheck:
    """Before and after. `strict`: every difference counts, not just what carries the mark of this run."""

    def __init__(self, strict: bool, temporary: str) -> None:
        self.strict = strict
        self.temporary = temporary
        self.before: dict[str, Found] = {}
        self.remarks: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        self.before = {kind: look() for kind, look in KINDS.items()}

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not self.before:
            return
        leaks, self.remarks = self._patiently()
        if leaks:
            text = "The run left behind:\n" + "\n".join(leaks)
            session.config.hook.pytest_runtest_logreport(
                report=pytest.TestReport(
                    nodeid="leak check",
                    location=("tests/rig/leaks.py", None, "leak check"),
                    keywords={},
                    outcome="failed",
                    longrepr=text,
                    when="teardown",
                )
            )
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.remarks:
            terminalreporter.write_line(f"leak check: {len(self.remarks)} new things, perhaps others' doing:")
        for remark in self.remarks[:6]:
            terminalreporter.write_line(remark[:150])

    def _patiently(self) -> tuple[list[str], list[str]]:
        """Look again until nothing is left or patience ends: some ends are asynchronous in the kernel."""
        deadline = time.monotonic() + PATIENCE
        while True:
            leaks: list[str] = []
            remarks: list[str] = []
            for kind, thing in self._new():
                (leaks if self._ours(kind, thing) else remarks).append(f"  {kind}: {thing}")
            if not leaks or time.monotonic() > deadline:
                return leaks, remarks
            time.sleep(0.2)

    def _new(self) -> Iterator[tuple[str, str]]:
        for kind, look in KINDS.items():
            for key, thing in look().items():
                if key not in self.before[kind]:
                    yield kind, thing

    def _ours(self, kind: str, thing: str) -> bool:
        return self.strict or kind in CERTAIN or self.temporary in thing


def install(config: pytest.Config) -> None:
    """Mark the run and give it a temporary folder of its own: its leaks can be told from others' work."""
    os.environ[MARK] = uuid.uuid4().hex[:12]
    before = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="proa-")
    tempfile.tempdir = os.environ["TMPDIR"] = folder

    def restore() -> None:
        tempfile.tempdir = os.environ["TMPDIR"] = before
        shutil.rmtree(folder, ignore_errors=True)

    config.add_cleanup(restore)
    strict = MUST_WORK or os.environ.get("PROA_LEAKS") == "all"
    config.pluginmanager.register(LeakCheck(strict, folder), "proa-leak-check")
