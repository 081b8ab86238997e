"""An engine in memory with the shape that the API needs: containers are only records, output is canned.

It is faked because the API's own rules (HTTP, translation, errors) are tested here; the real engine serves
the end-to-end tests through the same routes.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from proa import ids, times, wording
from proa.engine.events import Events
from proa.engine.logs.reading import LogLine
from proa.engine.networks import attach, remove
from proa.engine.options import ContainerOptions, EndpointOptions
from proa.engine.records import Container, EndpointRecord, Exec, MountPoint, Status
from proa.engine.requests import AttachRequest, Created, ExecOptions, ExitStatus
from proa.engine.runtimes import Runtimes
from proa.engine.settings import Settings
from proa.errors import InvalidArgument, NotModified
from rig.fake_nouns import FakeImages, FakeNetworks, FakeVolumes


class FakeEngine:
    def __init__(self) -> None:
        self.settings = Settings(data_root=Path("/var/lib/proa-fake"))
        self.runtimes = Runtimes({})
        self.events = Events()
        self.images = FakeImages()
        self.puller = self.pusher = self.importer = self.saver = self.loader = self.images
        self.containers = FakeContainers(self)
        self.execs = self.containers.execs
        self.volumes = FakeVolumes()
        self.networks = FakeNetworks(self.events)
        self.registry: Any = SimpleNamespace()

    def close(self) -> None:
        """Close what clients are still attached by."""
        for clients in self.containers.attached.values():
            for descriptor, _ in clients:
                os.close(descriptor)


class FakeContainers:
    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self.records: dict[str, Container] = {}
        self.waiters: dict[str, list[tuple[str, asyncio.Future[ExitStatus]]]] = {}
        self.attached: dict[str, list[tuple[int, AttachRequest]]] = {}
        self.output: dict[str, list[tuple[str, bytes]]] = {}
        self.runs_until_stopped = False
        self.calls: list[tuple[Any, ...]] = []
        self.execs = FakeExecs(self)
        self.gate: asyncio.Event | None = None  # `stop` waits for it

    async def create(
        self, options: ContainerOptions, name: str = "", request: dict[str, Any] | None = None
    ) -> Created:
        image = self._engine.images.get(options.image)
        name = name or f"name_{len(self.records)}"
        for other in self.records.values():
            if other.name == name:
                raise wording.name_in_use(name, other.id)
        command = options.command or image.config.cmd
        record = Container(
            id=ids.new_id(),
            name=name,
            created=times.now(),
            image_id=image.id,
            layers=image.layers,
            options=options,
            path=command[0],
            args=command[1:],
            request=request or {},
            endpoints=attach.planned(self._engine.networks, options),  # type: ignore[arg-type]
        )
        for mount in options.mounts:
            record.mounts.append(
                MountPoint(type=mount.type, destination=mount.target, source=mount.source, name=mount.source)
            )
        self.records[record.id] = record
        self._engine.events.emit("container", "create", record.id, {"name": name, "image": options.image})
        return Created(id=record.id)

    def get(self, name: str) -> Container:
        found = [each for each in self.records.values() if each.name == name.removeprefix("/")]
        found = found or [each for each in self.records.values() if each.id.startswith(name)]
        if len(found) > 1:
            raise InvalidArgument(f"Multiple IDs found with provided prefix: {name}")
        if not found:
            raise wording.no_such_container(name)
        return found[0]

    def all(self) -> Sequence[Container]:
        return list(self.records.values())

    async def connect(self, network: str, name: str, wishes: EndpointOptions | None = None) -> None:
        place = EndpointRecord(network=self._engine.networks.get(network).name)
        place.wishes = wishes or place.wishes
        self.get(name).endpoints[place.network] = place

    async def disconnect(self, network: str, name: str, *, force: bool = False) -> None:
        del self.get(name).endpoints[self._engine.networks.get(network).name]

    async def remove_network(self, name: str) -> None:
        await remove.remove(self, self.networks.get(name))  # type: ignore[arg-type]

    async def prune_networks(self, filters: dict[str, list[str]]) -> list[str]:
        return await remove.prune(self, filters)  # type: ignore[arg-type]

    @property
    def networks(self) -> FakeNetworks:
        return self._engine.networks

    @property
    def events(self) -> Events:
        return self._engine.events

    async def start(self, name: str) -> None:
        record = self.get(name)
        if record.running:
            raise NotModified("container is running")
        record.state.transition(Status.RUNNING)
        record.state.started_at = times.now()
        record.endpoints["bridge"] = EndpointRecord(
            network="bridge", network_id="1" * 64, endpoint_id="e", address="172.17.0.2", prefix_length=16
        )
        self._engine.events.emit("container", "start", record.id, {"name": record.name})
        if not self.runs_until_stopped:
            await self.finish(record, 0)

    async def finish(self, record: Container, code: int) -> None:
        """End a container: its output to whoever is attached, its code to whoever waits."""
        loop = asyncio.get_running_loop()
        for descriptor, request in self.attached.pop(record.id, []):
            with socket.socket(fileno=descriptor) as client:
                for stream, data in self.output.get(record.id, [("stdout", b"hello\n")]):
                    kind = {"stdout": 1, "stderr": 2}[stream]
                    header = struct.pack(">BxxxI", kind, len(data)) if request.multiplexed else b""
                    await loop.sock_sendall(client, header + data)
                client.shutdown(socket.SHUT_WR)
                while request.stdin and await loop.sock_recv(client, 65536):
                    pass  # closing over unread input would reset the connection
        record.state.transition(Status.EXITED)
        record.state.exit_code, record.state.finished_at = code, times.now()
        self._wake(record.id, code, ("not-running", "next-exit"))
        if record.options.auto_remove:
            await self.remove(record.id)

    def _wake(self, identifier: str, code: int, conditions: tuple[str, ...]) -> None:
        for condition, future in self.waiters.get(identifier, []):
            if condition in conditions and not future.done():
                future.set_result(ExitStatus(code=code))

    async def stop(self, name: str, timeout: int | None = None, signal: str = "") -> None:
        record = self.get(name)
        self.calls.append(("stop", timeout, signal))
        if not record.running:
            raise NotModified("container is not running")
        if self.gate is not None:
            await self.gate.wait()
        await self.finish(record, 137)

    async def restart(self, name: str, timeout: int | None = None, signal: str = "") -> None:
        self.calls.append(("restart", timeout, signal))
        await self.start(name)

    async def kill(self, name: str, signal: str = "") -> None:
        record = self.get(name)
        self.calls.append(("kill", signal))
        if not record.running:
            raise wording.not_running(record.id)
        await self.finish(record, 137)

    def wait(self, name: str, condition: str = "not-running") -> asyncio.Future[ExitStatus]:
        record = self.get(name)
        future: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
        if condition == "not-running" and not record.running:
            future.set_result(ExitStatus(code=record.state.exit_code))
        else:
            self.waiters.setdefault(record.id, []).append((condition, future))
        return future

    async def remove(self, name: str, force: bool = False, volumes: bool = False) -> None:
        record = self.get(name)
        self.calls.append(("remove", force, volumes))
        if record.running and not force:
            raise wording.not_running(record.id)
        del self.records[record.id]
        self._wake(record.id, record.state.exit_code, ("removed", "next-exit"))

    def rename(self, name: str, new_name: str) -> None:
        self.get(name).name = new_name

    async def pause(self, name: str) -> None:
        self.get(name).state.transition(Status.PAUSED)

    async def unpause(self, name: str) -> None:
        self.get(name).state.transition(Status.RUNNING)

    async def resize(self, name: str, rows: int, columns: int) -> None:
        self.calls.append(("resize", rows, columns))

    async def top(self, name: str, ps_args: str) -> tuple[list[str], list[list[str]]]:
        return ["PID", "CMD"], [["1", ps_args]]

    async def attach(self, name: str, client: int, request: AttachRequest) -> None:
        os.set_blocking(client, False)
        self.attached.setdefault(self.get(name).id, []).append((client, request))

    def log_pieces(self, name: str, request: Any) -> AsyncGenerator[list[LogLine]]:
        self.calls.append(("logs", request))
        return self._logs(self.get(name))

    async def _logs(self, record: Container) -> AsyncGenerator[list[LogLine]]:
        for stream, data in self.output.get(record.id, []):
            yield [LogLine(stream=stream, time=1_700_000_000_000_000_001, line=data)]

    async def changes(self, name: str) -> Sequence[Any]:
        self.get(name)
        return [SimpleNamespace(path="/etc", kind=0), SimpleNamespace(path="/etc/x", kind=1)]

    async def size_rw(self, name: str) -> int:
        return (await self.sizes_rw([self.get(name)]))[0]

    async def sizes_rw(self, records: Sequence[Container]) -> list[int]:
        return [42 for _ in records]

    async def commit(self, name: str, **options: Any) -> str:
        self.calls.append(("commit", self.get(name).id, options))
        return "sha256:" + "c" * 64


class FakeExecs:
    def __init__(self, containers: FakeContainers) -> None:
        self._containers = containers
        self.execs: dict[str, Exec] = {}
        self.failure: Exception | None = None
        self.started: list[AttachRequest | None] = []
        self.clients: list[int] = []

    async def create(self, container: str, options: ExecOptions) -> Exec:
        record = self._containers.get(container)
        if not record.running:
            raise wording.not_running(record.id)
        fields = {name: getattr(options, name) for name in options.__struct_fields__}
        execution = Exec(id=ids.new_id(), container_id=record.id, **fields)
        self.execs[execution.id] = execution
        return execution

    def get(self, identifier: str) -> Exec:
        if identifier not in self.execs:
            raise wording.no_such_exec(identifier)
        return self.execs[identifier]

    def of(self, container_id: str) -> Sequence[Exec]:
        return [each for each in self.execs.values() if each.container_id == container_id and each.running]

    async def start(
        self,
        identifier: str,
        client: int | None,
        request: AttachRequest | None,
        *,
        console_size: tuple[int, int] | None = None,
    ) -> None:
        if self.failure is not None:
            raise self.failure
        execution = self.get(identifier)
        execution.started = True
        self.started.append(request)
        execution.exit_code = 0
        if client is None or request is None:
            return
        if request.stdin:  # echo until the client has no more to say
            self.clients.append(client)
            asyncio.get_running_loop().create_task(self._echo(client, request))
            return
        with socket.socket(fileno=client) as connection:
            connection.setblocking(True)
            header = struct.pack(">BxxxI", 1, 5) if request.multiplexed else b""
            connection.sendall(header + b"done\n")
            connection.shutdown(socket.SHUT_WR)

    async def _echo(self, client: int, request: AttachRequest) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(fileno=client) as connection:
            connection.setblocking(False)
            data = request.buffered
            while data or (data := await loop.sock_recv(connection, 65536)):
                header = struct.pack(">BxxxI", 1, len(data)) if request.multiplexed else b""
                await loop.sock_sendall(connection, header + data)
                data = b""
            connection.shutdown(socket.SHUT_WR)

    async def resize(self, identifier: str, rows: int, columns: int) -> None:
        self.get(identifier)
