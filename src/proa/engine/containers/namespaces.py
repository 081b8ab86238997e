"""Which network, IPC and PID namespaces a starting container gets: its own, the host's, another container's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from proa import wording
from proa.engine.containers.run import Run
from proa.engine.networks import attach
from proa.engine.records import Container
from proa.engine.spec import Place
from proa.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers


async def resolve(containers: Containers, record: Container, run: Run, place: Place) -> None:
    """Fill in the namespaces of `place`; the container gets its places on networks for `run`."""
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
    kind, _, other = record.options.network_mode.partition(":")
    if kind == "container":
        try:
            place.network = f"/proc/{_pid_of(containers, other)}/ns/net"
        except NotFound as error:
            raise NotFound(f"joining network namespace of container: {error.message}") from error
        return
    await attach.attach(containers, record, run)
    if "host" in record.endpoints:
        place.network = None
        return
    if run.namespace < 0:  # no network has made one
        isolated = containers.isolated.take()
        run.namespace = -1 if isolated is None else isolated
    place.network = f"/proc/{os.getpid()}/fd/{run.namespace}" if run.namespace >= 0 else ""


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
