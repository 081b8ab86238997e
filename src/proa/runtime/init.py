"""The container's first process, from its birth to the user's program.

It prepares what every container needs, waits for its specification, and leaves the host step by step:
cgroup, namespaces, root, names. Next hop of `run`: `program.py`.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import signal
import socket
import struct

from proa import cgroups
from proa.cgroups import prepared as prepared_cgroups
from proa.linux import namespaces, process
from proa.runtime import console, defaults, program, rootfs, sysctls
from proa.runtime.failure import SetupError, step
from proa.runtime.prepared import Prepared

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from proa.runtime.channel import Channel

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
# Born with the process, which a container that shares them leaves again.
BORN_IN = {"ipc": namespaces.CLONE_NEWIPC, "uts": namespaces.CLONE_NEWUTS}


def run(channel: Channel, parent: int, *, own_pids: bool, cgroup: str) -> NoReturn:
    """Prepare, wait, become the container's process 1.

    `own_pids`: its pid namespace is new. `cgroup` is the path of one to prepare, or "".
    """
    try:
        _leave_parent(channel)
        prepared, cgroup = _prepare(own_pids=own_pids, cgroup=cgroup)
        born_in = _make_cgroup(channel, cgroup)
        request, descriptors = channel.receive()
        _use_streams(descriptors)
        with open(request["spec"], "rb") as file:  # noqa: PTH123 - lean
            spec = json.load(file)
        if request["joins_pids"] or born_in >= 0:
            _continue_elsewhere(spec, channel, born_in)
        _become(spec, prepared, parent, channel)
    except BaseException as error:
        channel.fail(error)


def _leave_parent(channel: Channel) -> None:
    """Keep nothing of the process that forked this one."""
    gc.disable()
    signal.set_wakeup_fd(-1)
    process.close_all_but([channel.fileno()])
    process.set_name("proa-init")
    program.reset_signals()
    os.setsid()


def _prepare(*, own_pids: bool, cgroup: str) -> tuple[Prepared, str]:
    """Make what can be made now; return it, and the path of the cgroup entered, if that worked."""
    if own_pids and os.getpid() != 1:
        with step("make a pid namespace"):
            namespaces.unshare(namespaces.CLONE_NEWPID)  # for the process that continues in this one's place
    if cgroup:
        try:
            prepared_cgroups.enter(cgroup, list(defaults.DEVICE_RULES))
        except OSError:
            cgroup = ""  # the container makes its own, and says what is wrong
    return Prepared(cgroup), cgroup


def _make_cgroup(channel: Channel, prepared: str) -> int:
    """Make the cgroup that the parent asks for, of the prepared one where that can be; be in it.

    On v2 return its directory instead: a process is born in it.
    """
    request, _ = channel.receive()
    cgroup, resources = cgroups.open(request["cgroup"]), request["resources"]
    with step("create the cgroup"):
        if prepared and prepared_cgroups.can_take_over(prepared, cgroup):
            warnings = prepared_cgroups.take_over(prepared, cgroup, resources, list(defaults.DEVICE_RULES))
        else:
            warnings = cgroup.create(resources)
            if cgroup.directory_fd is None:
                cgroup.enter()
            if prepared:
                prepared_cgroups.remove(prepared)
    channel.tell_made(warnings)
    return -1 if cgroup.directory_fd is None else cgroup.directory_fd


def _use_streams(descriptors: list[int]) -> None:
    for number, fd in enumerate(descriptors):
        os.dup2(fd, number)
        os.close(fd)


def _continue_elsewhere(spec: dict[str, Any], channel: Channel, cgroup_fd: int) -> None:
    """Return in a sibling of this process that was born where it belongs: pid namespace and v2 cgroup.

    `cgroup_fd` is the latter's directory, -1 on v1, where the cgroup is inherited.
    """
    for entry in spec["linux"].get("namespaces", ()):
        if entry["type"] == "pid" and entry.get("path"):
            _join("pid", entry["path"])
    pid = process.fork(process.CLONE_PARENT, cgroup_fd)
    if pid:
        channel.continue_as(pid)
    os.setsid()
    if cgroup_fd >= 0:
        os.close(cgroup_fd)


def _become(spec: dict[str, Any], prepared: Prepared, parent: int, channel: Channel) -> NoReturn:
    filter_program = program.read_filter(spec)
    _set_oom_score(spec["process"].get("oomScoreAdj"))
    _enter_namespaces(spec, prepared, parent)
    sysctls.check(spec["linux"].get("sysctl", {}), parent)
    root_fd = rootfs.build(spec, prepared, spec["linux"]["cgroupsPath"])
    slave = -1
    if spec["process"].get("terminal"):
        slave = console.open_terminal(root_fd, channel, console_size(spec))
        console.bind_console(root_fd, slave)
    rootfs.enter(root_fd)
    os.close(root_fd)
    if slave >= 0:
        console.become_controlling(slave)
    _set_names(spec)
    rootfs.finish(spec, prepared)
    prepared.close()
    program.become(spec, filter_program, channel)


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


def _enter_namespaces(spec: dict[str, Any], prepared: Prepared, parent: int) -> None:
    """Join the namespaces that have a path, make the others new; the pid namespace is done.

    One that is not listed is the parent's.
    """
    wanted = {entry["type"]: entry.get("path", "") for entry in spec["linux"].get("namespaces", ())}
    for kind in wanted:
        if kind not in namespaces.OCI_TYPES:
            raise SetupError(f"namespace {kind!r} does not exist")
    if wanted.get("ipc", "shared"):
        prepared.drop("/dev/mqueue")  # shows the IPC namespace of who mounted it
    for kind in BORN_IN:
        if kind not in wanted:
            _join(kind, f"/proc/{parent}/ns/{kind}")
    for kind, path in wanted.items():
        if path and kind != "pid":
            _join(kind, path)
    new = 0
    for kind, path in wanted.items():
        if not path and kind != "pid" and kind not in BORN_IN:
            new |= namespaces.OCI_TYPES[kind]
    with step("make new namespaces"):
        namespaces.unshare(new)
    if wanted.get("network") == "":
        with step("bring up the loopback interface"):
            _loopback_up()


def _join(kind: str, path: str) -> None:
    with step(f"join the {kind} namespace {path}"):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        namespaces.setns(fd, namespaces.OCI_TYPES[kind])
        os.close(fd)


def _loopback_up() -> None:
    """netdevice(7): one ioctl instead of a netlink conversation."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _set_names(spec: dict[str, Any]) -> None:
    if "hostname" in spec:
        with step("set the host name"):
            process.set_host_name(spec["hostname"])
    if spec.get("domainname"):
        with step("set the domain name"):
            process.set_domain_name(spec["domainname"])
