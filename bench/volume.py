"""Many at once: starts a second, memory and listings with hundreds of idle containers, pulling a large layer."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.latency import BUSYBOX, Session
from bench.measure import Comparison, Series, Work, compare
from rig.engine import Engine

AT_ONCE = 50


def burst(engine: Engine, count: int, network: str) -> float:
    """How many containers a second start, run `echo` and are gone, if `count` are asked for at once."""
    sessions = [Session(engine) for _ in range(count)]
    failures: list[BaseException] = []

    def one(session: Session) -> None:
        try:
            session.run(network)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(session,)) for session in sessions]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - begun
    for session in sessions:
        session.close()
    if failures:
        raise failures[0]
    return count / taken


def at_once(engines: dict[str, Engine], rounds: int) -> Iterator[Comparison]:
    """Containers that start, run `echo` and are removed, a second, when 50 are asked for at once."""

    works: dict[str, Work] = {name: partial(burst, engine, AT_ONCE, "bridge") for name, engine in engines.items()}
    yield compare(
        f"{AT_ONCE} at once", works, max(2, rounds // 8), unit="/s", warm_up=1, more_is_better=True,
        target="10x Docker",
    )  # fmt: skip


def pss(pid: int) -> float:
    """Megabytes that are a process's own, with its share of what it shares."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no PSS of process {pid}")


def shims(command: str) -> list[int]:
    """Processes with this text in their command line, or under this name."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):
                line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if command in line:
                    found.append(int(path.name))
    return found


def held(name: str, count: int) -> int:
    """How many containers an engine is given."""
    return count if name == "proa" else max(1, count // 10)


def idle(engines: dict[str, Engine], count: int) -> Iterator[Comparison]:
    """What idle containers cost. Docker gets a tenth of them: its cost for each is the same."""
    memory = [Series(name) for name in engines]
    listing = [Series(f"{name}, {held(name, count)}") for name in engines]
    daemons: list[Series] = []
    for number, (name, engine) in enumerate(engines.items()):
        session = Session(engine)
        containers = held(name, count)
        before = daemon_memory(engine)
        for _ in range(containers):
            body = {"Image": BUSYBOX, "Cmd": ["sleep", "100000"], "HostConfig": {"NetworkMode": "none"}}
            session.ask("POST", f"/containers/{session.ask('POST', '/containers/create', body)['Id']}/start")
        time.sleep(1)
        running = session.ask("GET", "/containers/json")
        assert len(running) == containers
        memory[number].values = [pss(pid) for pid in monitors(engine)]
        assert len(memory[number].values) == containers
        for _ in range(5):
            begun = time.perf_counter()
            session.ask("GET", "/containers/json")
            listing[number].values.append((time.perf_counter() - begun) * 1000)
        daemons += [
            Series(f"{name}, none running", [before]),
            Series(f"{name}, {containers}", [daemon_memory(engine)]),
        ]
        session.close()
        engine.api.remove_everything()
    yield Comparison(f"PSS of the process that minds an idle container ({count})", "MB", memory, target="1.5 MB")
    yield Comparison("API: list idle containers", "ms", listing, target="100 ms")
    yield Comparison("PSS of the daemon and what it needs", "MB", daemons, target="60 MB idle")


def monitors(engine: Engine) -> list[int]:
    """The processes that mind one container each: Proa's shims, containerd's."""
    parents = {container["Id"]: engine.api.get(f"/containers/{container['Id']}/json").json["State"]["Pid"]
               for container in engine.api.get("/containers/json").json}  # fmt: skip
    found = set()
    for pid in parents.values():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        found.add(int(fields[1]))
    return sorted(found)


def daemon_memory(engine: Engine) -> float:
    """The daemon and its children, without the processes that mind containers."""
    assert engine.process
    minding = set(monitors(engine))
    pids = [engine.process.pid, *engine.children()]
    pids += [child for pid in pids[1:] for child in engine.children(pid)]
    return sum(pss(pid) for pid in set(pids) - minding)


def pull(engines: dict[str, Engine], rounds: int) -> Iterator[Comparison]:
    """A layer of 160 MB in 15,000 files from the local registry, data on tmpfs."""

    def fetch(engine: Engine) -> float:
        client = engine.docker
        begun = time.perf_counter()
        client.ok("pull", "-q", "big")
        taken = time.perf_counter() - begun
        client.ok("rmi", "big")
        return taken * 1000

    works: dict[str, Work] = {name: partial(fetch, engine) for name, engine in engines.items()}
    yield compare(
        "Pull 160 MB, 15,000 files, data on tmpfs", works, max(3, rounds // 4), warm_up=1, target="3x Docker"
    )
