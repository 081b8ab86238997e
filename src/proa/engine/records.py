"""What the engine remembers of each container, exec and endpoint; stored as JSON in the database."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import msgspec

from proa.engine.options import ContainerOptions, EndpointOptions
from proa.errors import Conflict, InvalidArgument, NotFound
from proa.network.published import Published


class Status(StrEnum):
    """Docker's words for a container's state."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


# What may follow what. `transition` refuses everything else; the test walks the whole product.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.CREATED: frozenset({Status.RUNNING, Status.EXITED, Status.REMOVING}),
    Status.RUNNING: frozenset({Status.PAUSED, Status.RESTARTING, Status.EXITED}),
    Status.PAUSED: frozenset({Status.RUNNING, Status.RESTARTING, Status.EXITED}),
    Status.RESTARTING: frozenset({Status.RUNNING, Status.EXITED, Status.REMOVING}),
    Status.EXITED: frozenset({Status.RUNNING, Status.RESTARTING, Status.REMOVING}),
    Status.REMOVING: frozenset({Status.DEAD}),
    Status.DEAD: frozenset({Status.REMOVING}),
}


class ProbeResult(msgspec.Struct, kw_only=True):
    """One health check. `exit_code` is -1 for one that could not run or took too long."""

    start: int
    end: int
    exit_code: int
    output: str


class Health(msgspec.Struct, kw_only=True):
    """What the checks of a container's health have found."""

    status: Literal["starting", "healthy", "unhealthy"] = "starting"
    failing_streak: int = 0
    log: list[ProbeResult] = []  # the last ones, the newest at the end


class State(msgspec.Struct, kw_only=True):
    """The changing part of a container. Times are nanoseconds since the epoch, 0 for never."""

    status: Status = Status.CREATED
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_at: int = 0
    finished_at: int = 0
    restart_count: int = 0  # by the policy, since somebody started it
    stopped_by_user: bool = False  # the end was asked for: only `always` starts it again, with the engine
    health: Health | None = None

    def transition(self, status: Status) -> None:
        """Enter `status`, or raise `Conflict` where the table does not allow it."""
        if status not in TRANSITIONS[self.status]:
            raise Conflict(f"a container that is {self.status} can not become {status}")
        self.status = status


class MountPoint(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A resolved mount, as `inspect` shows it under Mounts."""

    type: str
    destination: str
    source: str = ""  # of an image: its identifier
    name: str = ""  # of the volume or image
    driver: str = ""
    mode: str = ""
    read_write: bool = True
    propagation: str = ""
    anonymous: bool = False
    tmpfs_options: str = ""
    subpath: str = ""
    no_copy: bool = False
    read_only_non_recursive: bool = False
    non_recursive: bool = False
    layers: list[str] = []  # of an image: chain IDs, base first


class EndpointRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A container's place on a network: what was asked for, and while the container runs, what it got."""

    network: str  # its name
    network_id: str = ""
    wishes: EndpointOptions = msgspec.field(default_factory=EndpointOptions)
    endpoint_id: str = ""  # from here on "" and 0 while there is none
    address: str = ""  # 172.17.0.2
    prefix_length: int = 0
    gateway: str = ""
    address6: str = ""
    prefix_length6: int = 0
    gateway6: str = ""
    mac_address: str = ""
    interface: str = ""  # the host's side; "" where the host has none
    device: str = ""  # its name inside: eth0

    @property
    def attached(self) -> bool:
        """Whether the container has the place right now."""
        return bool(self.endpoint_id)

    def detached(self) -> EndpointRecord:
        """Return what is left of it when the container has ended."""
        return EndpointRecord(network=self.network, network_id=self.network_id, wishes=self.wishes)


class Snapshot(msgspec.Struct, kw_only=True, frozen=True):
    """What a container had written at one moment: layers above its image's."""

    id: str
    name: str  # unique among those of its container
    created: int  # nanoseconds since the epoch
    sealed: list[str]  # keys of layers, base first


class Refusal(msgspec.Struct, kw_only=True, frozen=True):
    """What egress rules have refused to a container: packets to one destination, or questions for one name."""

    protocol: str  # tcp, udp, icmp …, or dns for a name
    address: str
    port: int  # 0 where the protocol has none
    name: str  # of the address, if it came from the name server
    count: int
    time: int  # of the last one, nanoseconds since the epoch


class Container(msgspec.Struct, kw_only=True):
    """One container. `request` is the API's create body as it came, for `inspect` and tools."""

    id: str
    name: str  # without the leading slash
    created: int  # nanoseconds since the epoch
    image_id: str  # digest of the image's configuration
    layers: list[str]  # of its image: chain IDs, base first
    options: ContainerOptions  # merged with the image's configuration
    path: str = ""
    args: list[str] = []
    state: State = msgspec.field(default_factory=State)
    mounts: list[MountPoint] = []
    endpoints: dict[str, EndpointRecord] = {}  # by the network's name, in the order of the interfaces
    ports: list[Published] = []  # while it runs
    publish_policy: str = ""  # that they were published under (`containers/publish_policy.py`)
    refused: list[Refusal] = []  # by the egress rules of the last run, the latest first
    request: dict[str, Any] = {}
    warnings: list[str] = []
    sealed: list[str] = []  # keys of layers between those of the image and its own: base first, shared
    snapshots: list[Snapshot] = []  # the oldest first
    # What is still to be done to the writable directory: it becomes the last of `sealed`, or is thrown away.
    unfinished: Literal["", "seal", "drop"] = ""

    def own_layers(self) -> set[str]:
        """Return the keys of the layers that it needs beside its image's, for itself and its snapshots."""
        return {*self.sealed, *(layer for snapshot in self.snapshots for layer in snapshot.sealed)}

    def snapshot(self, name: str) -> Snapshot:
        """Return the snapshot of a name, an identifier or a unique prefix of one; raises `NotFound`."""
        found = [each for each in self.snapshots if name in (each.name, each.id)]
        found = found or [each for each in self.snapshots if name and each.id.startswith(name)]
        if len(found) > 1:
            raise InvalidArgument(f"several snapshots of container {self.name} begin with {name}")
        if not found:
            raise NotFound(f"no such snapshot of container {self.name}: {name}")
        return found[0]

    def needs_image(self, image_id: str) -> bool:
        """Whether it was made of an image, or has it mounted."""
        return self.image_id == image_id or any(point.source == image_id for point in self.images)

    @property
    def images(self) -> list[MountPoint]:
        """The images that it has mounted."""
        return [point for point in self.mounts if point.type == "image"]

    @property
    def all_layers(self) -> set[str]:
        """The chain IDs of all layers that it needs."""
        return {*self.layers, *(chain_id for point in self.images for chain_id in point.layers)}

    @property
    def running(self) -> bool:
        """Whether its process exists: not so between an end and the restart that the policy asks for."""
        return self.state.status in (Status.RUNNING, Status.PAUSED)

    @property
    def active(self) -> bool:
        """Whether it counts as running for users: its process exists, or will again without them."""
        return self.running or self.state.status is Status.RESTARTING


class Memo(msgspec.Struct, kw_only=True):
    """What a start adds to the record before that is written; the shim keeps it for an engine that is killed."""

    endpoints: dict[str, EndpointRecord]
    ports: list[Published]

    @staticmethod
    def of(record: Container) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(Memo(endpoints=record.endpoints, ports=record.ports))
        return found


class Exec(msgspec.Struct, kw_only=True):
    """An `exec` session; lives as long as its container and a while after its end."""

    id: str
    container_id: str
    command: list[str]
    env: list[str] = []
    user: str = ""
    working_dir: str = ""
    tty: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    privileged: bool = False
    console_size: tuple[int, int] | None = None
    detach_keys: str = ""
    running: bool = False
    started: bool = False
    pid: int = 0
    exit_code: int | None = None
    finished_at: int = 0  # nanoseconds since the epoch
