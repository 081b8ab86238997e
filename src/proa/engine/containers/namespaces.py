"""Which network, IPC and PID namespaces a starting container gets: its own, the host's, another container's."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from proa import wording
from proa.engine.containers.run import Run
from proa.engine.records import Container, EndpointRecord
from proa.engine.spec import Place
from proa.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers


async def resolve(containers: Containers, record: Container, run: Run, place: Place) -> None:
    """Fill in the namespaces of `place`; an endpoint on the default bridge is taken for `run`."""
    options = record.options
    await _network(containers, record, run, place)
    kind, _, other = options.ipc_mode.partition(":")
    if kind == "host":
        place.ipc, place.shm = None, "/dev/shm"
    elif kind == "container":
        pid = _pid_of(containers, other)
        _check_shareable(containers.get(other))
        place.ipc, place.shm = f"/proc/{pid}/ns/ipc", f"/proc/{pid}/root/dev/shm"
    elif kind not in ("", "private", "shareable", "none"):
        raise InvalidArgument(f"IPC mode {options.ipc_mode} is invalid")
    kind, _, other = options.pid_mode.partition(":")
    if kind == "host":
        place.pid = None
    elif kind == "container":
        place.pid = f"/proc/{_pid_of(containers, other)}/ns/pid"
    elif kind:
        raise InvalidArgument(f"invalid PID mode: {options.pid_mode}")


async def _network(containers: Containers, record: Container, run: Run, place: Place) -> None:
    mode = record.options.network_mode
    kind, _, other = mode.partition(":")
    if kind == "host":
        place.network = None
    elif kind == "none":
        isolated = containers.isolated.take()
        if isolated is None:
            place.network = ""
        else:
            run.isolated = isolated
            place.network = f"/proc/{os.getpid()}/fd/{isolated}"
    elif kind == "container":
        try:
            place.network = f"/proc/{_pid_of(containers, other)}/ns/net"
        except NotFound as error:
            raise NotFound(f"joining network namespace of container: {error.message}") from error
    elif kind in ("bridge", "default", ""):
        await _take_endpoint(containers, record, run)
        assert run.endpoint is not None
        place.network = f"/proc/{os.getpid()}/fd/{run.endpoint.netns_fd}"
    else:
        raise NotFound(f"failed to set up container networking: network {mode} not found")


async def _take_endpoint(containers: Containers, record: Container, run: Run) -> None:
    bridge = containers.bridge
    mac = record.options.mac_address
    endpoint = None if mac else bridge.take()
    if endpoint is None:
        endpoint = await asyncio.to_thread(bridge.acquire, mac)
    run.endpoint = endpoint
    record.endpoint = EndpointRecord(
        network="bridge",
        network_id=containers.networks.get("bridge").id,
        endpoint_id=os.urandom(32).hex(),
        address=endpoint.address,
        prefix_length=endpoint.prefix_length,
        gateway=endpoint.gateway,
        mac_address=endpoint.mac_address,
        interface=endpoint.interface,
    )
    containers.emit_network("connect", record)


def _check_shareable(donor: Container) -> None:
    if donor.options.ipc_mode in ("", "private", "none"):
        raise InvalidArgument(
            f"failed to join IPC namespace: container {donor.id}: non-shareable IPC "
            "(hint: use IpcMode:shareable for the donor container)"
        )


def _pid_of(containers: Containers, name: str) -> int:
    other = containers.get(name)
    if not other.running:
        raise wording.not_running(other.id)
    return other.state.pid
