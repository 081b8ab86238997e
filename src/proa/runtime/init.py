"""The container's first process, from the fork to the user's program.

It runs in the container's pid namespace and cgroup already (`container.py` saw to that) and leaves the
host step by step: namespaces, root, names. Next hop of `run`: `program.py`.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from proa.linux import namespaces
from proa.runtime import console, program, rootfs
from proa.runtime.failure import SetupError, step

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from proa.runtime.container import ChildChannels

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def run(
    spec: dict[str, Any], cgroup_directories: dict[str, str], filter_program: bytes, channels: ChildChannels
) -> NoReturn:
    """Become the container's process 1."""
    os.setsid()
    _set_oom_score(spec["process"].get("oomScoreAdj"))
    _enter_namespaces(spec)
    root_fd = rootfs.build(spec, cgroup_directories)
    slave = -1
    if spec["process"].get("terminal"):
        slave = console.open_terminal(root_fd, channels.terminal, console_size(spec))
        console.bind_console(root_fd, slave)
    rootfs.enter(root_fd)
    os.close(root_fd)
    if slave >= 0:
        console.become_controlling(slave)
    _set_names(spec)
    rootfs.finish(spec)
    program.become(spec, filter_program, channels.failure)


def console_size(spec: dict[str, Any]) -> tuple[int, int] | None:
    """Return rows and columns asked for, if any."""
    size = spec["process"].get("consoleSize")
    return (size["height"], size["width"]) if size else None


def _set_oom_score(adjustment: int | None) -> None:
    if adjustment is not None:
        with step(f"set oom_score_adj to {adjustment}"):
            fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, str(adjustment).encode())
            os.close(fd)


def _enter_namespaces(spec: dict[str, Any]) -> None:
    """Join the namespaces that have a path and make the others new; the pid namespace is done."""
    new = 0
    own_network = False
    for entry in spec["linux"].get("namespaces", ()):
        kind, path = entry["type"], entry.get("path")
        if kind == "pid":
            continue
        if kind not in namespaces.OCI_TYPES:
            raise SetupError(f"namespace {kind!r} does not exist")
        if path:
            with step(f"join the {kind} namespace {path}"):
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                namespaces.setns(fd, namespaces.OCI_TYPES[kind])
                os.close(fd)
        else:
            new |= namespaces.OCI_TYPES[kind]
            own_network = own_network or kind == "network"
    with step("make new namespaces"):
        namespaces.unshare(new)
    if own_network:
        with step("bring up the loopback interface"):
            _loopback_up()


def _loopback_up() -> None:
    """netdevice(7): one ioctl instead of a netlink conversation."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _set_names(spec: dict[str, Any]) -> None:
    if "hostname" in spec:
        with step("set the host name"):
            _write("/proc/sys/kernel/hostname", spec["hostname"])
    if spec.get("domainname"):
        with step("set the domain name"):
            _write("/proc/sys/kernel/domainname", spec["domainname"])


def _write(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)
