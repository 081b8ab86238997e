"""A proad process of its own: its data, sockets and whole life in one temporary directory."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

from rig.api import Api
from rig.clients import Client
from rig.needs import PATIENCE, need

T = TypeVar("T")
READY = 20.0 * PATIENCE  # seconds; start-up takes a fraction of one


class Engine:
    """One engine. `kill` ends proad as a crash would, `start` starts it again on the same data."""

    def __init__(self, mirror: str, arguments: Sequence[str] = (), directory: Path | None = None) -> None:
        need(os.geteuid() == 0, "root")
        self.directory = directory or Path(tempfile.mkdtemp(prefix="e-"))
        self.data_root = self.directory / "data"
        self.exec_root = self.directory / "exec"
        self.socket = self.directory / "proa.sock"
        self.pidfile = self.directory / "proad.pid"
        self.log = self.directory / "proad.log"
        self.mirror = mirror
        self.arguments = list(arguments)
        self.api = Api(str(self.socket))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"unix://{self.socket}"

    @property
    def command(self) -> list[str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        # dockerd takes the same options: the tests are held against the original now and then (docs: CONTRIBUTING)
        program = shutil.which(os.environ.get("PROA_TEST_DAEMON") or "proad", path=path)
        need(program, "the command proad")
        assert program
        mirror = ["--registry-mirror", self.mirror] if self.mirror else []
        return [
            program, "--data-root", str(self.data_root), "--exec-root", str(self.exec_root),
            "--host", self.host, "--pidfile", str(self.pidfile), *mirror, *self.arguments,
        ]  # fmt: skip

    def start(self) -> Self:
        """Start proad and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + READY
        while not self.api.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"proad did not start:\n{self.said()}")
            time.sleep(0.01)
        return self

    def pull(self, name: str, tag: str = "latest") -> None:
        answer = self.api.post("/images/create", fromImage=name, tag=tag)
        assert answer.status == 200 and b"errorDetail" not in answer.body, answer

    def said(self) -> str:
        """The end of what proad logged."""
        return self.log.read_text(errors="replace")[-6000:] if self.log.exists() else ""

    def kill(self) -> None:
        """SIGKILL to proad alone: what a crash leaves."""
        assert self.process
        self.process.kill()
        self.process.wait(10)

    def crash(self) -> None:
        """What a crash of the host leaves: no process, nothing of the execution state."""
        running = [row["Id"] for row in self.api.get("/containers/json").json]
        pids = [self.api.get(f"/containers/{each}/json").json["State"]["Pid"] for each in running]
        self.kill()
        for pid in filter(None, pids):
            shim = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
            os.kill(int(shim), signal.SIGKILL)  # the container ends with it
        for pid in filter(None, pids):
            eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists())  # type: ignore[misc]
        shutil.rmtree(self.exec_root)

    def stop(self) -> None:
        """Remove what is there, stop proad politely and delete the directory: nothing may stay."""
        try:
            if self.process is None or self.process.poll() is not None:
                self.start()  # a killed engine's containers run on; only an engine can end them
            self.api.remove_everything()
        finally:
            self.end()
            if os.environ.get("PROA_TEST_DAEMON"):  # dockerd leaves this mounted
                subprocess.run(["umount", "--quiet", self.exec_root / "netns/default"], check=False)
            shutil.rmtree(self.directory, ignore_errors=True)

    def end(self, patience: float = 15.0 * PATIENCE) -> int:
        """SIGTERM to proad; returns its exit status."""
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise RuntimeError(f"proad did not stop within {patience} s:\n{self.said()}") from None
        return self.process.returncode

    def children(self, pid: int | None = None) -> list[int]:
        """Processes that proad (or `pid`) started itself: the launcher."""
        assert self.process
        parent = pid or self.process.pid
        listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        return [int(word) for word in listed.split()]

    def descriptors(self) -> int:
        """How many files proad has open."""
        assert self.process
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def client(self, name: str) -> Client:
        return Client(name, self.host, self.directory / f"home-{name}")

    @property
    def docker(self) -> Client:
        return self.client("docker")

    @property
    def proa(self) -> Client:
        return self.client("proa")


@contextmanager
def running(mirror: str, arguments: Sequence[str] = (), *, pull: str = "") -> Iterator[Engine]:
    """An engine from its start to its end, with the image `pull`."""
    engine = Engine(mirror, arguments)
    try:
        engine.start()
        if pull:
            engine.pull(pull)
        yield engine
    finally:
        engine.stop()


def eventually(look: Callable[[], T], seconds: float = 10.0) -> T:
    """`look()` as soon as it is true; fails with its last value when it does not become so."""
    deadline = time.monotonic() + seconds * PATIENCE
    while not (seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r} after {seconds} s"
        time.sleep(0.02)
    return seen
