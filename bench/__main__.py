"""`python -m bench [--only WORD] [--rounds N] [--idle N] [--format json] [--without-docker]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import latency, names, networks, peers, ports, report, store, volume
from bench.measure import Comparison
from rig import standard
from rig.engine import Engine
from rig.registry import Registry

GROUPS = ("api", "command", "at-once", "idle", "names", "networks", "ports", "pull", "store",
          "store-many")  # fmt: skip


def main() -> None:
    options = arguments()
    if not options.without_docker and not peers.is_isolated():  # inside there is no way to download it
        subprocess.run([Path(__file__).parent.parent / "scripts/get-docker", "engine"], check=False)
    peers.isolated()
    results = []
    for result in measure(options):
        results.append(result)
        if options.format == "table":
            print(report.table(result), flush=True)
    if options.format == "json":
        print(report.as_json(results))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=sys.modules["bench"].__doc__)
    parser.add_argument("--only", action="append", choices=GROUPS, help="this group (repeatable)")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--idle", type=int, default=500, help="idle containers for the memory figures")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.add_argument("--without-docker", action="store_true")
    return parser.parse_args()


def measure(options: argparse.Namespace) -> Iterator[Comparison]:
    docker = not options.without_docker and peers.docker_is_there()
    wanted = options.only or GROUPS
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        registry = Registry(Path(folder) / "registry").start()
        run, memory = tmpfs(Path(folder) / "run"), tmpfs(Path(folder) / "memory")
        try:
            registry.push(standard.busybox(), "library/busybox", "latest")
            on_disk: dict[str, Callable[[dict[str, Engine]], Iterator[Comparison]]] = {
                "api": lambda engines: latency.by_api(engines, options.rounds),
                "command": lambda engines: latency.by_command(engines, options.rounds),
                "at-once": lambda engines: volume.at_once(engines, options.rounds),
                "names": lambda engines: names.names(engines, options.rounds),
                "networks": lambda engines: networks.networks(engines, options.rounds),
                "ports": lambda engines: ports.ports(engines, options.rounds),
                "store": lambda engines: store.store(engines, options.rounds),
                "store-many": lambda engines: store.many(engines, options.rounds),
                "idle": lambda engines: volume.idle(engines, options.idle),
            }
            if set(wanted) & set(on_disk):
                engines = peers.start(registry.url, docker=docker, where=folder, run=run)
                try:
                    for name in on_disk:
                        if name in wanted:
                            yield from on_disk[name](engines)
                finally:
                    peers.stop(engines)
            if "pull" in wanted:
                registry.push(standard.big(), "library/big", "latest")
                engines = peers.start(registry.url, docker=docker, where=str(memory), run=run)
                try:
                    yield from volume.pull(engines, options.rounds)
                finally:
                    peers.stop(engines)
        finally:
            subprocess.run(["umount", "--lazy", run, memory], check=True)
            registry.stop()


def tmpfs(directory: Path) -> Path:
    """Mount one at a new directory, in the benchmark's own mount namespace."""
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "bench", directory], check=True)
    return directory


if __name__ == "__main__":
    main()
