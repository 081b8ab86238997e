"""How long one container takes, by the API and by whole command lines."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench import peers
from bench.measure import Comparison, Work, compare
from rig.api import UnixConnection
from rig.engine import Engine

BUSYBOX = "busybox"


class Session:
    """Kept connections to one engine, as an SDK keeps them: one for requests, one for the wait."""

    def __init__(self, engine: Engine) -> None:
        self.requests = UnixConnection(str(engine.socket))
        self.waits = UnixConnection(str(engine.socket))

    def close(self) -> None:
        self.requests.close()
        self.waits.close()

    def ask(self, method: str, target: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        self.requests.request(method, f"/v1.50{target}", data, headers)
        answer = self.requests.getresponse()
        content = answer.read()
        assert answer.status < 300, (target, answer.status, content)
        return json.loads(content) if content else None

    def run(self, network: str, address: str = "") -> None:
        """create, wait for the removal, start: until the container is gone."""
        host = {"AutoRemove": True, "NetworkMode": network}
        body: dict[str, Any] = {"Image": BUSYBOX, "Cmd": ["echo", "hello"], "HostConfig": host}
        if address:
            body["NetworkingConfig"] = {"EndpointsConfig": {network: {"IPAMConfig": {"IPv4Address": address}}}}
        name = self.ask("POST", "/containers/create", body)["Id"]
        self.waits.request("POST", f"/v1.50/containers/{name}/wait?condition=removed")
        waiting = self.waits.getresponse()
        self.ask("POST", f"/containers/{name}/start")
        assert json.loads(waiting.read())["StatusCode"] == 0

    def exec(self, name: str) -> None:
        """create, start with its output, and the exit status."""
        command = {"Cmd": ["true"], "AttachStdout": True, "AttachStderr": True}
        made = self.ask("POST", f"/containers/{name}/exec", command)["Id"]
        stream = UnixConnection(self.requests.path)
        with contextlib.closing(stream):
            headers = {"Content-Type": "application/json"}
            stream.request("POST", f"/v1.50/exec/{made}/start", b'{"Detach": false, "Tty": false}', headers)
            stream.getresponse().read()
        assert self.ask("GET", f"/exec/{made}/json")["ExitCode"] == 0


def by_api(engines: dict[str, Engine], rounds: int) -> Iterator[Comparison]:
    """create + start + wait + automatic removal; exec."""
    for network, target in (("none", "12 ms"), ("bridge", "15 ms")):
        sessions = {name: Session(engine) for name, engine in engines.items()}
        works: dict[str, Work] = {name: partial(session.run, network) for name, session in sessions.items()}
        yield compare(f"API: run echo, network {network}", works, rounds, target=target)
        for session in sessions.values():
            session.close()
    sessions, works = {}, {}
    for name, engine in engines.items():
        sessions[name] = Session(engine)
        identifier = engine.docker.detached("--network", "none", BUSYBOX, "sleep", "10000")
        works[name] = partial(sessions[name].exec, identifier)
    yield compare("API: exec true", works, rounds, target="8 ms")
    for name, engine in engines.items():
        sessions[name].close()
        engine.api.remove_everything()


def by_command(engines: dict[str, Engine], rounds: int) -> Iterator[Comparison]:
    """Whole processes: what a person or a script waits for."""

    def process(*command: str, environment: dict[str, str] | None = None) -> Work:
        def work() -> None:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{shlex.join(command)}: {done.returncode}: {done.stdout}{done.stderr}")

        return work

    run = ("run", "--rm", BUSYBOX, "echo", "hello")
    works: dict[str, Work] = {}
    for name, engine in engines.items():
        client = engine.docker
        works["docker CLI, dockerd" if name == "docker" else "docker CLI, proad"] = process(
            *client.command(*run), environment=client.environment
        )
    proa = engines["proa"].proa
    works["proa CLI, proad"] = process(*proa.command(*run), environment=proa.environment)
    with runc_bundle() as bundle, peers.podman(engines["proa"].mirror) as podman:
        if podman:
            works["podman, no network"] = process(*podman, "echo", "hello")
        if bundle:
            works["runc alone"] = process("runc", "run", "--bundle", str(bundle), "proa-bench")
        yield compare("Command line: run --rm busybox echo", works, rounds, target="proa 40 ms; 6x Docker")
    works = {}
    for name, engine in engines.items():
        client = engine.docker
        identifier = client.detached(BUSYBOX, "sleep", "10000")
        label = "docker CLI, dockerd" if name == "docker" else "docker CLI, proad"
        works[label] = process(*client.command("exec", identifier, "true"), environment=client.environment)
        if name == "proa":
            command = proa.command("exec", identifier, "true")
            works["proa CLI, proad"] = process(*command, environment=proa.environment)
    yield compare("Command line: exec true", works, rounds)
    for engine in engines.values():
        engine.api.remove_everything()


@contextlib.contextmanager
def runc_bundle() -> Iterator[Path | None]:
    """A bundle for bare runc: no image, no network, no engine."""
    if not shutil.which("runc"):
        yield None
        return
    from rig.standard import busybox_program

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "rootfs" / "bin"
        root.mkdir(parents=True)
        (root / "echo").write_bytes(busybox_program())
        (root / "echo").chmod(0o755)
        subprocess.run(["runc", "spec"], cwd=folder, check=True)
        path = Path(folder) / "config.json"
        spec = json.loads(path.read_text())
        spec["process"] |= {"args": ["echo", "hello"], "terminal": False}
        path.write_text(json.dumps(spec))
        yield Path(folder)
