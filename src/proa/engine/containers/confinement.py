"""What egress rules take for granted: that a container has no way round the table in its network namespace.

They hold for the container that has them, and for every container that joins its network. Of what would be a
way round, that which Docker gives to every container is taken away (CAP_NET_RAW), that which somebody asks for is
refused. What gives the whole host away (its devices, its directories, the engine's socket) gives the rules away as
well, and stays the business of who asks for it.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from proa.engine.networks import egress
from proa.engine.options import ContainerOptions
from proa.errors import Conflict, InvalidArgument
from proa.runtime.capabilities import ALL, normalize

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers
    from proa.engine.records import Container

_OTHERS = "it reaches into processes or network namespaces beyond the rules"
_HOST = "it gives away the host's kernel, and the rules with it"
_WAYS_ROUND = {
    "CAP_NET_RAW": "its packet sockets send past the rules",
    "CAP_NET_ADMIN": "it may change the rules",
    "CAP_SYS_ADMIN": _OTHERS,
    "CAP_SYS_PTRACE": _OTHERS,
    "CAP_DAC_READ_SEARCH": "it opens the host's files (open_by_handle_at(2))",
    "CAP_CHECKPOINT_RESTORE": _OTHERS,
    **dict.fromkeys(
        ("CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_BOOT", "CAP_BPF", "CAP_PERFMON", "CAP_MAC_ADMIN",
         "CAP_MAC_OVERRIDE"),
        _HOST,
    ),
}  # fmt: skip
# Their containers use the kernel's network: others (gVisor, Kata) have packet sockets on the interfaces instead.
_RUNTIMES = ("runc", "crun", "youki")
_LONGEST_CHAIN = 8  # containers, each in the network of the next


def guard(containers: Containers, options: ContainerOptions) -> str:
    """Return whose egress rules hold for a container: "its egress rules", those of another one, or ""."""
    if options.egress is not None:
        return "its egress rules"
    for _ in range(_LONGEST_CHAIN):
        kind, _, name = options.network_mode.partition(":")
        other = containers.store.find(name) if kind == "container" else None
        if other is None:
            return ""
        options = other.options
        if options.egress is not None:
            return f"the egress rules of the container {other.name}, whose network it joins"
    return ""


def check(containers: Containers, options: ContainerOptions) -> None:
    """Refuse what would be a way round the egress rules that hold for a container. Raises `InvalidArgument`."""
    _check_processes(containers, options)
    if not (whose := guard(containers, options)):
        return
    if options.egress is not None:
        egress.rules(options.egress)
        _check_network(options.network_mode)
    if options.privileged:
        raise _refused("--privileged", whose, "a privileged container may change them")
    for name in normalize(options.cap_add, "CapAdd"):
        if name == ALL:
            raise _refused("--cap-add ALL", whose, "CAP_NET_ADMIN among them may change the rules")
        if reason := _WAYS_ROUND.get(name):
            raise _refused(f"--cap-add {name.removeprefix('CAP_')}", whose, reason)
    if options.pid_mode == "host":
        raise _refused("--pid host", whose, _OTHERS)
    for option in options.security_opt:
        word = option.replace(":", "=", 1) if "=" not in option else option
        if word.startswith("seccomp=") and word != "seccomp=builtin":
            reason = "the default one closes what the rules do not see (AF_VSOCK, io_uring)"
            raise _refused("--security-opt seccomp", whose, reason)
        if word == "systempaths=unconfined":
            raise _refused("--security-opt systempaths=unconfined", whose, _HOST)
    if options.readonly_paths is not None or options.masked_paths is not None:
        raise _refused("other read-only or masked paths", whose, _HOST)
    program = containers.runtimes.command(options.runtime)
    if program and PurePath(program[0]).name not in _RUNTIMES:
        raise _refused(f"--runtime {options.runtime}", whose, "its containers may not use the kernel's network")


def _check_network(mode: str) -> None:
    kind, _, other = mode.partition(":")
    if kind == "host":
        raise _refused("--network host", "its egress rules", "they would be the host's")
    if kind == "container":
        raise InvalidArgument(
            f"conflicting options: --egress and --network {mode}: the rules are those of the container {other}"
        )


def _check_processes(containers: Containers, options: ContainerOptions) -> None:
    """Refuse processes that are shared between a container with rules and one without: one may trace the other."""
    kind, _, name = options.pid_mode.partition(":")
    other = containers.store.find(name) if kind == "container" else None
    if other is None:
        return
    whose, others = guard(containers, options), guard(containers, other.options)
    if not whose and not others:
        return
    mode, _, joined = options.network_mode.partition(":")
    if mode == "container" and containers.store.find(joined) is other:
        return
    if mode == "container" and other.options.network_mode == options.network_mode:
        return
    if not whose:
        whose = f"the egress rules of the container {other.name}"
    raise _refused(f"--pid {options.pid_mode}", whose, "processes with other rules may be traced")


def check_exec(containers: Containers, record: Container) -> None:
    """Refuse a privileged program in a container that egress rules hold for. Raises `Conflict`."""
    if whose := guard(containers, record.options):
        raise Conflict(f"exec --privileged in container {record.name} conflicts with {whose}: it may change them")


def _refused(option: str, whose: str, reason: str) -> InvalidArgument:
    return InvalidArgument(f"conflicting options: {option} and {whose}: {reason}")
