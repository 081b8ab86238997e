"""Compiled seccomp filters: the same decisions as libseccomp's, and the kernel's word for it."""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest

from proa.errors import InvalidArgument, Unsupported
from proa.linux import seccomp as kernel
from proa.linux import syscalls
from proa.runtime import seccomp
from proa.runtime.defaults import CAPABILITIES
from proa.runtime.seccomp_profiles import default_profile
from rig import cbpf
from rig.needs import need

X86_64, X86 = 0xC000003E, 0x40000003
X32_BIT = 0x40000000
ABIS = {"x86_64": (X86_64, 0), "x32": (X86_64, X32_BIT), "x86": (X86, 0)}
ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0
ALL_X86 = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]

CLONE_NEW = 0x7E020000
WORDS = (0, 1, 2, 8, 17, 39, 40, 41, 0x20000, 0x20008, CLONE_NEW, 0x10000000, 0xFFFFFFFF)
WIDE = (*WORDS, 40 << 32, 40 | 1 << 32, 1 << 63, 0xFFFFFFFFFFFFFFFF, CLONE_NEW << 16)


def compiled(profile: dict[str, Any], machine: str = "x86_64") -> cbpf.Program:
    instructions, _ = kernel.unpack(seccomp.compile(profile, machine))
    return cbpf.program(instructions)


def samples(values: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Every value in the first two arguments, random ones in the others."""
    draw = random.Random(1)
    for first, second in itertools.product(values, (0, 5, *values[-4:])):
        yield (first, second, *(draw.choice(values) for _ in range(4)))


def beyond_the_profile(profile: dict[str, Any], abi: str) -> int:
    """The highest number that the profile names: runc, not libseccomp, answers ENOSYS above."""
    table = syscalls.table(abi)
    names = {name for entry in profile["syscalls"] for name in entry["names"]}
    return max((table[name] for name in names if name in table), default=-1)


def compare(profile: dict[str, Any], numbers: range) -> int:
    """Run both filters over ABIs x numbers x arguments; return how many decisions were compared."""
    reference = cbpf.LibSeccomp()
    known = [
        {**entry, "names": [name for name in entry["names"] if reference.knows(name)]}
        for entry in profile["syscalls"]
    ]
    profile = {**profile, "syscalls": known}
    theirs, ours = reference.compile(profile), compiled(profile)
    compared = 0
    differences = []
    for abi, (architecture, bit) in ABIS.items():
        last = beyond_the_profile(profile, abi)
        inputs = list(samples(WIDE if abi == "x86_64" else WORDS))
        for number in numbers:
            for arguments in inputs if number | bit in interesting(profile, abi) else inputs[:2]:
                expected = cbpf.run(theirs, architecture, number | bit, arguments)
                if number | bit > last >= 0 and last & X32_BIT == bit and expected >> 16 in (5, 0):
                    expected = ENOSYS if expected == EPERM else expected
                got = cbpf.run(ours, architecture, number | bit, arguments)
                compared += 1
                if got != expected:
                    differences.append((abi, number, arguments, hex(got), hex(expected)))
    assert differences == []
    return compared


def interesting(profile: dict[str, Any], abi: str) -> set[int]:
    """Numbers whose arguments matter."""
    table = syscalls.table(abi)
    names = {name for entry in profile["syscalls"] if entry.get("args") for name in entry["names"]}
    multiplexers = {"socketcall", "ipc"} if abi == "x86" else set()
    return {table[name] for name in names | multiplexers if name in table}


@pytest.mark.parametrize(
    "capabilities",
    [
        CAPABILITIES,
        (),
        ("CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_BPF"),
        ("CAP_SYS_TIME", "CAP_DAC_READ_SEARCH"),
    ],
)
def test_default_profile_decides_as_libseccomp(capabilities: tuple[str, ...]) -> None:
    assert compare(default_profile(capabilities, "x86_64"), range(600)) > 1800


def rule(names: str, *conditions: tuple[Any, ...], action: str = "SCMP_ACT_ALLOW", **more: Any) -> dict[str, Any]:
    keys = ("index", "op", "value", "valueTwo")
    return {
        "names": names.split(),
        "action": action,
        "args": [dict(zip(keys, (c[0], f"SCMP_CMP_{c[1]}", *c[2:]), strict=False)) for c in conditions],
        **more,
    }


CUSTOM = {
    "operators": [
        rule("read", (0, "LT", 17)),
        rule("write", (0, "LE", 17)),
        rule("open", (0, "EQ", 17)),
        rule("close", (0, "NE", 17)),
        rule("stat", (0, "GE", 17)),
        rule("fstat", (0, "GT", 17)),
        rule("poll", (0, "MASKED_EQ", 0xFF, 8)),
        rule("mmap", (0, "MASKED_EQ", CLONE_NEW, 0)),
    ],
    "several arguments": [
        rule("read", (0, "EQ", 1), (1, "NE", 5)),
        rule("write", (1, "GT", 5), (0, "LT", 40), (3, "NE", 1)),
    ],
    "alternatives": [rule("read", (0, "EQ", 1), (0, "EQ", 40)), rule("read", (1, "EQ", 5))],
    "unconditional wins": [
        rule("read", (0, "EQ", 1)),
        rule("read"),
        rule("write"),
        rule("write", (0, "EQ", 1)),
    ],
    "actions": [
        rule("read", action="SCMP_ACT_KILL"),
        rule("write", action="SCMP_ACT_TRAP"),
        rule("open", action="SCMP_ACT_ERRNO", errnoRet=77),
        rule("close", action="SCMP_ACT_KILL_PROCESS"),
        rule("stat", action="SCMP_ACT_LOG"),
        rule("fstat", action="SCMP_ACT_TRACE", errnoRet=3),
    ],
    "multiplexed": [rule("socket bind recvmmsg shmat semget"), rule("connect", (1, "EQ", 8)), rule("read")],
    "unknown": [rule("read there_is_no_such_call")],
}


@pytest.mark.parametrize("name", CUSTOM)
@pytest.mark.parametrize("architectures", [ALL_X86, [], ["SCMP_ARCH_X86"]])
def test_custom_profiles_decide_as_libseccomp(name: str, architectures: list[str]) -> None:
    profile = {"defaultAction": "SCMP_ACT_ERRNO", "architectures": architectures, "syscalls": CUSTOM[name]}
    assert compare(profile, range(450)) > 450


def test_high_values_decide_as_libseccomp() -> None:
    big = 40 << 32
    rules = [
        rule("read", (0, "GT", big)),
        rule("write", (0, "GE", big)),
        rule("open", (0, "LT", big)),
        rule("close", (0, "LE", big)),
        rule("stat", (0, "EQ", big)),
        rule("fstat", (0, "NE", big)),
        rule("poll", (0, "MASKED_EQ", 0xFF << 32, big)),
    ]
    profile = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}
    assert compare(profile, range(20)) > 60


def test_permissive_default_decides_as_libseccomp() -> None:
    rules = [rule("mount", action="SCMP_ACT_ERRNO"), rule("socket", (0, "EQ", 40), action="SCMP_ACT_ERRNO")]
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ALL_X86, "syscalls": rules}
    assert compare(profile, range(600)) > 1800


def test_foreign_architectures_are_killed() -> None:
    program = compiled({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule("read")]})
    nothing = (0,) * 6
    assert cbpf.run(program, X86, 3, nothing) == KILL
    assert cbpf.run(program, X86_64, X32_BIT, nothing) == KILL
    assert cbpf.run(program, 0xC00000B7, 63, nothing) == KILL
    assert cbpf.run(program, X86_64, 0xFFFFFFFF, nothing) == EPERM  # by which a tracer skips a call
    assert cbpf.run(program, X86_64, 0, nothing) == ALLOW


def test_calls_newer_than_the_profile_are_unknown_not_forbidden() -> None:
    profile = default_profile(CAPABILITIES, "x86_64")
    program = compiled(profile)
    for abi, (architecture, bit) in ABIS.items():
        last = beyond_the_profile(profile, abi)
        assert cbpf.run(program, architecture, last, (0,) * 6) == ALLOW
        for number in (last + 1, 900 | bit, 0x3FFFFFFF | bit):
            assert cbpf.run(program, architecture, number, (0,) * 6) == ENOSYS
    assert cbpf.run(program, X86_64, syscalls.table("x86_64")["io_uring_setup"], (0,) * 6) == EPERM


@pytest.mark.parametrize("machine", ["aarch64", "armv7l", "riscv64"])
def test_other_machines(machine: str) -> None:
    program = compiled(default_profile(CAPABILITIES, machine), machine)
    token, abi = {
        "aarch64": (0xC00000B7, "aarch64"),
        "armv7l": (0x40000028, "arm"),
        "riscv64": (0xC00000F3, "riscv64"),
    }[machine]
    table = syscalls.table(abi)

    def decide(name: str, *arguments: int) -> int:
        return cbpf.run(program, token, table[name], (*arguments, *[0] * (6 - len(arguments))))

    assert decide("openat") == ALLOW
    assert decide("mount") == EPERM
    assert decide("clone", 17) == ALLOW
    assert decide("clone", 0x10000000) == EPERM
    assert decide("clone3") == ENOSYS
    assert decide("socket", 40) == EPERM
    assert decide("socket", 2) == ALLOW
    assert cbpf.run(program, X86_64, 0, (0,) * 6) == KILL


BAD: list[tuple[dict[str, Any], str]] = [
    ({"defaultAction": "SCMP_ACT_NONSENSE"}, "invalid seccomp action 'SCMP_ACT_NONSENSE'"),
    (
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule("read", action="")]},
        "invalid seccomp action",
    ),
    ({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["x86"]}, "invalid seccomp architecture 'x86'"),
    ({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["X"]}, "seccomp flag 'X' is not supported"),
    ({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule("read", (6, "EQ", 1))]}, "invalid index"),
    (
        {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule("read", (0, "XX", 1))]},
        "invalid seccomp op",
    ),
]


@pytest.mark.parametrize(("profile", "message"), BAD)
def test_bad_profiles(profile: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        seccomp.compile(profile)


def test_unsupported() -> None:
    with pytest.raises(Unsupported, match="SCMP_ACT_NOTIFY"):
        seccomp.compile({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule("read", action="SCMP_ACT_NOTIFY")]})
    with pytest.raises(Unsupported, match="s390x"):
        seccomp.compile({"defaultAction": "SCMP_ACT_ALLOW"}, "s390x")


@pytest.mark.parametrize(
    ("flags", "bits"), [(None, 4), ([], 0), (["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"], 2)]
)
def test_flags(flags: list[str] | None, bits: int) -> None:
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [], "flags": flags}
    assert kernel.unpack(seccomp.compile(profile))[1] == bits


def under(filter_: bytes, number: int, *arguments: int) -> tuple[int, int]:
    """Make one system call in a child under the filter; return its result and errno."""
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        kernel.load(filter_)
        library = ctypes.CDLL(None, use_errno=True)
        result = library.syscall(number, *map(ctypes.c_long, arguments))
        os.write(writing, f"{result} {ctypes.get_errno() if result == -1 else 0}".encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        words = file.read().split()
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"killed by {os.WTERMSIG(status)}"
    return int(words[0]), int(words[1])


@pytest.mark.usefixtures("root")
def test_the_kernel_obeys_the_default_profile() -> None:
    machine = os.uname().machine
    need(machine in ("x86_64", "aarch64", "riscv64"), "a machine with a table of system calls")
    assert kernel.available()
    filter_ = seccomp.compile(default_profile(CAPABILITIES))
    table = syscalls.table(machine)
    assert under(filter_, table["getpid"])[0] > 1
    assert under(filter_, table["mount"], 0, 0, 0, 0, 0) == (-1, errno.EPERM)
    assert under(filter_, table["unshare"], 0x10000000) == (-1, errno.EPERM)
    assert under(filter_, table["clone3"], 0, 0) == (-1, errno.ENOSYS)
    assert under(filter_, table["socket"], 40, 1, 0) == (-1, errno.EPERM)
    assert under(filter_, table["socket"], 1, 1, 0)[0] > 2
    assert under(filter_, table["personality"], 0xFFFFFFFF)[1] == 0
    assert under(filter_, table["personality"], 0x0040000) == (-1, errno.EPERM)
    assert under(filter_, 1000) == (-1, errno.ENOSYS)
    admin = seccomp.compile(default_profile([*CAPABILITIES, "CAP_SYS_ADMIN"]))
    assert under(admin, table["mount"], 0, 0, 0, 0, 0) == (-1, errno.EFAULT)


def test_the_default_filter_is_short() -> None:
    assert len(compiled(default_profile(CAPABILITIES, "x86_64"))) < 400
