"""The engines that are measured: Proa, and Docker where scripts/get-docker has unpacked it.

Everything runs in a network and a mount namespace of its own (`isolated`): neither the host's firewall
nor its mount table ever sees a peer, and what is left of it goes with the namespaces.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rig import cache
from rig.engine import Engine

INSIDE = "PROA_BENCH_INSIDE"
DOCKER_GROUP = "/proa-bench-docker"


def is_isolated() -> bool:
    return INSIDE in os.environ


def isolated() -> None:
    """Replace this process by itself in fresh network and mount namespaces."""
    if is_isolated():
        return
    script = 'ip link set lo up && exec "$@"'
    words = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
    os.environ[INSIDE] = "1"
    os.execvp(words[0], [*words, sys.executable, "-m", "bench", *sys.argv[1:]])


class Peer(Engine):
    """dockerd, driven as proad is: it takes the same options."""

    def __init__(self, mirror: str, directory: Path) -> None:
        super().__init__(mirror, ["--cgroup-parent", DOCKER_GROUP], directory)

    @property
    def command(self) -> list[str]:
        # Its own containerd comes first on its path; both engines are driven by the same docker CLI.
        path = f"PATH={docker_root()}/sbin:{docker_root()}/bin:{os.environ['PATH']}"
        return ["env", path, str(docker_root() / "sbin/dockerd"), *super().command[1:]]

    def stop(self) -> None:
        super().stop()
        for hierarchy in Path("/sys/fs/cgroup").iterdir():
            group = Path(f"{hierarchy}{DOCKER_GROUP}")
            if group.is_dir():
                group.rmdir()


def docker_root() -> Path:
    return cache.directory() / "docker-engine" / "usr"


def docker_is_there() -> bool:
    return (docker_root() / "sbin/dockerd").exists() and shutil.which("runc") is not None


def start(mirror: str, *, docker: bool, where: str, run: Path) -> dict[str, Engine]:
    """Start the engines with data below `where` and exec roots below `run`, a tmpfs as /run is; busybox pulled."""
    found: dict[str, Engine] = {}
    kinds: dict[str, type[Engine]] = {"proa": Engine} | ({"docker": Peer} if docker else {})
    for name, kind in kinds.items():
        directory = Path(tempfile.mkdtemp(prefix=f"bench-{name}-", dir=where))
        found[name] = kind(mirror, directory=directory) if kind is Peer else Engine(mirror, (), directory)
        found[name].exec_root = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=run))
        found[name].start()
        answer = found[name].api.post("/images/create", fromImage="busybox", tag="latest")
        assert b"errorDetail" not in answer.body, answer.body
    return found


@contextlib.contextmanager
def podman(mirror: str) -> Iterator[list[str]]:
    """The beginning of `podman run --rm … busybox`, on storage of its own; [] where there is none.

    Without network, which takes plugins; with runc and low limits, which work on hybrid cgroups and without
    CAP_SYS_RESOURCE.
    """
    if not (shutil.which("podman") and shutil.which("runc")):
        yield []
        return
    image = f"{mirror.rpartition('/')[2]}/library/busybox:latest"
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run", "--runtime", "runc",
            "--cgroup-manager", "cgroupfs", "--events-backend", "none",
        ]  # fmt: skip
        subprocess.run([*command, "pull", "-q", "--tls-verify=false", image], check=True, capture_output=True)
        limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
        try:
            yield [*command, "run", "--rm", "--network", "none", *limits, image]
        finally:
            subprocess.run([*command, "rmi", "-f", image], check=True, capture_output=True)
            subprocess.run(["umount", f"{folder}/root/overlay"], check=False, capture_output=True)


def stop(engines: dict[str, Engine]) -> None:
    for engine in engines.values():
        engine.stop()
