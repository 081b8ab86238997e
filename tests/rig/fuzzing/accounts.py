"""What an engine holds, from outside: descriptors, processes, mounts, control groups, tasks, memory."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

# Tells how many asyncio tasks there are when SIGUSR2 comes; the rest is proad as it is.
WRAPPER = """
import asyncio, os, signal, sys, traceback
from proa import engine_main
serve = engine_main._serve

def tell():
    names = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]
    path = os.environ["PROA_TASKS_FILE"]
    with open(path + ".new", "w") as file:
        file.write("\\n".join(names))
    with open(path + ".stacks", "w") as file:
        for task in asyncio.all_tasks():
            task.print_stack(file=file)
        for frame in sys._current_frames().values():
            file.write("\\nthread:\\n" + "".join(traceback.format_stack(frame)))
    os.rename(path + ".new", path)

async def watched(options):
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, tell)
    await serve(options)

engine_main._serve = watched
engine_main.main()
"""


class Account(NamedTuple):
    """`descriptors` by kind, `processes` by name, of proad and what it started; memory in MiB."""

    descriptors: Counter[str]
    processes: Counter[str]
    mounts: int
    cgroups: int
    tasks: Counter[str]
    threads: int
    memory: float

    def grown(self, before: Account) -> list[str]:
        """What there is more of than before, as sentences."""
        said = []
        for name in ("descriptors", "processes", "tasks"):
            more = getattr(self, name) - getattr(before, name)
            said += [f"{name}: {count} more of {kind}" for kind, count in more.items()]
        said += [
            f"{name}: {getattr(before, name)} -> {getattr(self, name)}"
            for name in ("mounts", "cgroups")
            if getattr(self, name) > getattr(before, name)
        ]
        return said


def take(pid: int, cgroup_parent: str, tasks_file: Path) -> Account:
    """Look at the engine with the process `pid`."""
    return Account(
        descriptors=_descriptors(pid),
        processes=Counter(_name(each) for each in _family(pid)),
        mounts=len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines()),
        cgroups=sum(
            1 for path in Path("/sys/fs/cgroup").glob(f"*/{cgroup_parent.strip('/')}/**/") if path.is_dir()
        ),
        tasks=_tasks(pid, tasks_file),
        threads=len(os.listdir(f"/proc/{pid}/task")),
        memory=memory(pid),
    )


def memory(pid: int) -> float:
    """Resident memory in MiB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def _descriptors(pid: int) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{number}")
        except OSError:
            continue
        kinds[re.sub(r"[0-9a-f]{12,}|\[?\d+\]?", "N", target)] += 1
    return kinds


def _family(pid: int) -> list[int]:
    """Processes in the mount namespace of the engine, which is its own: proad, launcher, shims, log processes."""
    here = os.readlink(f"/proc/{pid}/ns/mnt")
    family = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.readlink(f"/proc/{name}/ns/mnt") == here:
                family.append(int(name))
        except OSError:
            continue  # it has ended
    return family


def portrait(pid: int) -> str:
    """The engine's processes with what they have open, for a failure's message."""
    lines = []
    for each in _family(pid):
        try:
            opened = [os.readlink(f"/proc/{each}/fd/{number}") for number in os.listdir(f"/proc/{each}/fd")]
            waits = Path(f"/proc/{each}/wchan").read_text()
        except OSError:
            continue
        lines.append(f"{each} {_name(each)} in {waits}: {' '.join(sorted(opened))}")
    return "\n".join(lines)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "gone"


def _tasks(pid: int, file: Path) -> Counter[str]:
    file.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR2)
    deadline = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < deadline, "proad does not act on a signal: its loop is blocked"
        time.sleep(0.01)
    return Counter(file.read_text().split())
