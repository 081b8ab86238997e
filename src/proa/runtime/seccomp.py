"""Compiling the seccomp part of an OCI configuration (`linux.seccomp`) to a filter program.

Decides as runc with libseccomp does, which Docker's users know: see `_Calls` for rules that overlap and
`_beyond` for calls newer than the profile. `profiles` come from `seccomp_profiles.py`; the engine compiles a
profile once and keeps the bytes.
"""

from __future__ import annotations

import os

from proa.errors import InvalidArgument, Unsupported
from proa.linux import cbpf, syscalls
from proa.linux.seccomp import FLAG_LOG, FLAG_SPEC_ALLOW, pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.linux.cbpf import Condition, Decision, Rule

# SECCOMP_RET_* (linux/seccomp.h)
_KILL_THREAD, _ERRNO, _TRACE = 0x00000000, 0x00050000, 0x7FF00000
_ACTIONS = {
    "SCMP_ACT_KILL": _KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": _KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": _ERRNO,
    "SCMP_ACT_TRACE": _TRACE,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_PERMISSIVE = (_TRACE, _ACTIONS["SCMP_ACT_LOG"], _ACTIONS["SCMP_ACT_ALLOW"])
_ACTION_MASK = 0xFFFF0000
_EPERM, _ENOSYS = 1, 38
_OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
_FLAGS = {
    "SECCOMP_FILTER_FLAG_LOG": FLAG_LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": FLAG_SPEC_ALLOW,
    "SECCOMP_FILTER_FLAG_TSYNC": 0,  # the loading process has one thread
}

# ABI: (AUDIT_ARCH_* of linux/audit.h, whether arguments are compared as 64 bits). libseccomp compares those
# of x32 as 32 bits, too.
_ABIS = {
    "x86_64": (0xC000003E, True),
    "x32": (0xC000003E, False),
    "x86": (0x40000003, False),
    "aarch64": (0xC00000B7, True),
    "arm": (0x40000028, False),
    "riscv64": (0xC00000F3, True),
}
_ABI_OF_ARCHITECTURE = {f"SCMP_ARCH_{abi.upper()}": abi for abi in _ABIS}
_FOREIGN = "MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 S390X PARISC PARISC64"
_FOREIGN_ARCHITECTURES = frozenset(f"SCMP_ARCH_{name}" for name in f"{_FOREIGN} LOONGARCH64".split())
# Machine (uname -m): ABIs of programs that it can run, its own first.
_ABIS_OF_MACHINE = {
    "x86_64": ("x86_64", "x86", "x32"),
    "aarch64": ("aarch64", "arm"),
    "armv7l": ("arm",),
    "riscv64": ("riscv64",),
}

# Calls that i386 programs may also make through socketcall(2) and ipc(2), by their numbers there.
_SOCKET_CALLS = (
    "socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom "
    "shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg"
)
_MULTIPLEXED = {name: ("socketcall", number) for number, name in enumerate(_SOCKET_CALLS.split(), 1)} | {
    "semop": ("ipc", 1),
    "semget": ("ipc", 2),
    "semctl": ("ipc", 3),
    "semtimedop": ("ipc", 4),
    "msgsnd": ("ipc", 11),
    "msgrcv": ("ipc", 12),
    "msgget": ("ipc", 13),
    "msgctl": ("ipc", 14),
    "shmat": ("ipc", 21),
    "shmdt": ("ipc", 22),
    "shmget": ("ipc", 23),
    "shmctl": ("ipc", 24),
}


class _Calls:
    """Rules by name. As in libseccomp an unconditional rule beats conditional ones, and the first wins."""

    def __init__(self) -> None:
        self.rules: dict[str, list[Rule]] = {}
        self.always: dict[str, int] = {}

    def add(self, name: str, conditions: tuple[Condition, ...], action: int) -> None:
        if name in self.always:
            return
        if not conditions:
            self.always[name] = action
            self.rules.pop(name, None)
        elif (conditions, action) not in (rules := self.rules.setdefault(name, [])):
            rules.append((conditions, action))

    def decisions(self, table: dict[str, int], default: int) -> dict[int, Decision]:
        found: dict[int, Decision] = {
            table[name]: ((), action) for name, action in self.always.items() if name in table
        }
        found |= {table[name]: (tuple(rules), default) for name, rules in self.rules.items() if name in table}
        return found

    def with_multiplexers(self) -> _Calls:
        """Return the rules with those of multiplexed calls repeated for socketcall and ipc."""
        result = _Calls()
        result.rules = {name: list(rules) for name, rules in self.rules.items()}
        result.always = dict(self.always)
        for name, (multiplexer, number) in _MULTIPLEXED.items():
            selector: Condition = (0, "EQ", number, 0)
            if name in self.always:
                result.add(multiplexer, (selector,), self.always[name])
            for conditions, action in self.rules.get(name, ()):
                # The arguments of the call itself are in memory, out of a filter's sight.
                others = tuple(condition for condition in conditions if condition[0] != 0)
                result.add(multiplexer, (selector, *others), action)
        return result


def compile(seccomp: dict[str, Any], machine: str = "") -> bytes:
    """Compile an OCI `linux.seccomp` for `machine` (as `uname -m` says; default: this one).

    Returns what `linux.seccomp.load` takes. Names that the table of system calls does not know are left
    out, as in runc. InvalidArgument for words that the specification does not have, Unsupported for
    SCMP_ACT_NOTIFY and for machines without a table.
    """
    machine = machine or os.uname().machine
    if machine not in _ABIS_OF_MACHINE:
        raise Unsupported(f"seccomp profiles are not supported on {machine}", hint="use seccomp=unconfined")
    default = _action(seccomp.get("defaultAction") or "", seccomp.get("defaultErrnoRet"))
    entries = seccomp.get("syscalls") or []
    calls = _collect(entries, default)
    names = {name for entry in entries for name in entry.get("names") or ()}
    assembler = cbpf.Assembler()
    labels: dict[int, int] = {}
    trees = {}
    for abi in _abis(seccomp.get("architectures") or [], machine):
        trees[abi] = _tree(assembler, abi, calls, names, default)
    for abi, tree in trees.items():
        if abi == "x86_64":
            tree = _with_x32(assembler, tree, trees.get("x32"), default)
        if abi != "x32":
            labels[_ABIS[abi][0]] = assembler.by_number(tree)
    assembler.by_architecture(list(labels.items()), _KILL_THREAD)
    return pack(assembler.assemble(), _flags(seccomp.get("flags")))


def _abis(architectures: list[str], machine: str) -> list[str]:
    """Return the ABIs to filter: the machine's own always; those that it cannot run need no code."""
    possible = _ABIS_OF_MACHINE[machine]
    wanted = [possible[0]]
    for architecture in architectures:
        abi = _ABI_OF_ARCHITECTURE.get(architecture)
        if abi is None and architecture not in _FOREIGN_ARCHITECTURES:
            raise InvalidArgument(f"invalid seccomp architecture {architecture!r}")
        if abi in possible and abi not in wanted:
            wanted.append(abi)
    return wanted


def _collect(entries: list[dict[str, Any]], default: int) -> _Calls:
    calls = _Calls()
    for entry in entries:
        action = _action(entry.get("action") or "", entry.get("errnoRet"))
        conditions = tuple(_condition(argument) for argument in entry.get("args") or ())
        if action == default:
            continue
        indexes = [condition[0] for condition in conditions]
        # Two conditions on one argument are alternatives (runc's matchCall keeps it for old profiles).
        alternatives = len(set(indexes)) < len(indexes)
        for name in entry.get("names") or ():
            if alternatives:
                for condition in conditions:
                    calls.add(name, (condition,), action)
            else:
                calls.add(name, conditions, action)
    return calls


def _action(action: str, errno: int | None) -> int:
    if action == "SCMP_ACT_NOTIFY":
        raise Unsupported("seccomp action SCMP_ACT_NOTIFY is not supported")
    if action not in _ACTIONS:
        raise InvalidArgument(f"invalid seccomp action {action!r}")
    value = _ACTIONS[action]
    if value in (_ERRNO, _TRACE):
        value |= (_EPERM if errno is None else errno) & 0xFFFF
    return value


def _condition(argument: dict[str, Any]) -> Condition:
    index, operator = argument.get("index", 0), str(argument.get("op", "")).removeprefix("SCMP_CMP_")
    if operator not in _OPERATORS:
        raise InvalidArgument(f"invalid seccomp operator {argument.get('op')!r}")
    if not isinstance(index, int) or not 0 <= index < 6:
        raise InvalidArgument(f"invalid index of a system call's argument: {index}")
    mask = 0xFFFFFFFFFFFFFFFF
    return index, operator, argument.get("value", 0) & mask, argument.get("valueTwo", 0) & mask


def _flags(flags: list[str] | None) -> int:
    """Return SECCOMP_FILTER_FLAG_*; no list at all means SPEC_ALLOW, as in runc since 1.2."""
    if flags is None:
        return FLAG_SPEC_ALLOW
    bits = 0
    for flag in flags:
        if flag not in _FLAGS:
            raise InvalidArgument(f"seccomp flag {flag!r} is not supported")
        bits |= _FLAGS[flag]
    return bits


def _tree(assembler: cbpf.Assembler, abi: str, calls: _Calls, names: set[str], default: int) -> int:
    table = syscalls.table(abi)
    if "socketcall" in table:
        calls = calls.with_multiplexers()
    first = cbpf.X32_BIT if abi == "x32" else 0
    highest = max((table[name] for name in names if name in table), default=first - 1)
    ranges = cbpf.ranges(
        calls.decisions(table, default),
        ((), default),
        first=first,
        last=highest,
        beyond=((), _beyond(default) if highest >= first else default),
    )
    return assembler.tree(ranges, _ABIS[abi][1])


def _beyond(default: int) -> int:
    """Return the answer to calls above all that a profile names: ENOSYS, if it would refuse them.

    They are newer than the profile, and a C library that gets EPERM does not try the older call (runc's
    libcontainer/seccomp/patchbpf tells the story).
    """
    if default & _ACTION_MASK in _PERMISSIVE:
        return default
    return _ERRNO | _ENOSYS


def _with_x32(assembler: cbpf.Assembler, native: int, x32: int | None, default: int) -> int:
    """Return code that tells x32 calls by their bit 30 from those of x86_64, whose architecture they share.

    Without x32 in the profile they kill as a foreign architecture does; number -1, by which a tracer skips a
    call, is no x32 call.
    """
    if x32 is None:
        x32 = assembler.split(0xFFFFFFFF, assembler.result(default), assembler.result(_KILL_THREAD))
    return assembler.split(cbpf.X32_BIT, x32, native)
