"""Profiles: the default's conditions, and files in Docker's format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proa.errors import InvalidArgument
from proa.runtime.defaults import CAPABILITIES
from proa.runtime.seccomp_profiles import default_profile, load_profile


def allowed(profile: dict[str, Any]) -> dict[str, list[Any]]:
    """Return {allowed name: its argument conditions, None for unconditional}."""
    result: dict[str, list[Any]] = {}
    for entry in profile["syscalls"]:
        if entry["action"] == "SCMP_ACT_ALLOW":
            for name in entry["names"]:
                result.setdefault(name, []).append(entry.get("args"))
    return result


NEVER = (
    "_sysctl add_key afs_syscall create_module get_kernel_syms io_uring_enter io_uring_register io_uring_setup",
    "kexec_file_load kexec_load keyctl move_pages migrate_pages nfsservctl pivot_root query_module request_key",
    "swapoff swapon sysfs uselib userfaultfd ustat vm86 vm86old vserver",
)
WITH = {
    "CAP_SYS_ADMIN": "bpf clone3 mount perf_event_open quotactl setns sethostname syslog umount2 unshare",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "init_module finit_module delete_module",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise ptrace",
    "CAP_SYS_RAWIO": "iopl ioperm",
    "CAP_SYS_TIME": "settimeofday stime clock_settime clock_settime64",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYSLOG": "syslog",
    "CAP_BPF": "bpf",
    "CAP_PERFMON": "perf_event_open",
}


def test_never_allowed() -> None:
    everything = allowed(default_profile(WITH, "x86_64", "6.1"))
    assert [name for line in NEVER for name in line.split() if name in everything] == []


@pytest.mark.parametrize("capability", WITH)
def test_allowed_with_a_capability_only(capability: str) -> None:
    without = allowed(default_profile([name for name in WITH if name != capability], "x86_64", "4.7"))
    having = allowed(default_profile([capability], "x86_64", "4.7"))
    shared = {"bpf", "perf_event_open", "syslog"}  # CAP_SYS_ADMIN or their own
    for name in WITH[capability].split():
        assert None in having[name]
        assert name in shared or name not in without


def test_clone_and_clone3() -> None:
    plain = default_profile(CAPABILITIES, "x86_64", "6.1")
    (condition,) = allowed(plain)["clone"]
    assert condition == [{"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": 0x7E020000, "valueTwo": 0}]
    refused = [entry for entry in plain["syscalls"] if entry["action"] != "SCMP_ACT_ALLOW"]
    assert refused == [{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]
    admin = default_profile(["CAP_SYS_ADMIN"], "x86_64", "6.1")
    assert allowed(admin)["clone"] == [None]


def test_arguments() -> None:
    calls = allowed(default_profile((), "x86_64", "6.1"))
    assert calls["socket"] == [[{"index": 0, "op": "SCMP_CMP_NE", "value": 40}]]
    assert [one[0]["value"] for one in calls["personality"]] == [0, 8, 0x20000, 0x20008, 0xFFFFFFFF]


@pytest.mark.parametrize(
    ("machine", "kernel", "having", "lacking"),
    [
        ("x86_64", "4.7.10", "arch_prctl modify_ldt", "ptrace set_tls riscv_flush_icache"),
        ("x86_64", "4.8.0-rc1", "ptrace process_vm_readv", "cacheflush"),
        ("aarch64", "6.1.0-18-arm64", "ptrace set_tls cacheflush sync_file_range2", "arch_prctl modify_ldt"),
        ("riscv64", "10.0", "ptrace riscv_flush_icache", "set_tls arch_prctl"),
    ],
)
def test_machine_and_kernel(machine: str, kernel: str, having: str, lacking: str) -> None:
    calls = allowed(default_profile(CAPABILITIES, machine, kernel))
    assert [name for name in having.split() if name not in calls] == []
    assert [name for name in lacking.split() if name in calls] == []


def test_how_much_is_allowed() -> None:
    """Guards the table against a lost line: as many names as Docker 28's profile has on this machine."""
    assert len(allowed(default_profile((), "x86_64", "6.1"))) == 369
    assert len(allowed(default_profile(WITH, "x86_64", "6.1"))) == 415


def test_architectures() -> None:
    assert default_profile((), "x86_64")["architectures"] == [
        "SCMP_ARCH_X86_64",
        "SCMP_ARCH_X86",
        "SCMP_ARCH_X32",
    ]
    assert default_profile((), "aarch64")["architectures"] == ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    assert default_profile((), "ppc64le")["architectures"] == []


def load(profile: Any, capabilities: tuple[str, ...] = ()) -> dict[str, Any] | None:
    return load_profile(json.dumps(profile), capabilities, "x86_64", "6.1")


IN_B = {"caps": ["CAP_X"], "arches": ["amd64"]}


def test_docker_format() -> None:
    loaded = load(
        {
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": 5,
            "flags": ["SECCOMP_FILTER_FLAG_LOG"],
            "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
            "syscalls": [
                {"name": "read", "action": "SCMP_ACT_ALLOW", "args": None, "comment": "old form"},
                {"names": ["a"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_X", "CAP_Y"]}},
                {
                    "names": ["b"],
                    "action": "SCMP_ACT_ALLOW",
                    "includes": {"caps": ["CAP_X"], "arches": ["amd64"]},
                },
                {"names": ["c"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_Y", "CAP_X"]}},
                {"names": ["d"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "6.1"}},
                {"names": ["e"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.2"}},
                {"names": ["f"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["arm64"]}},
            ],
        },
        ("CAP_X",),
    )
    assert loaded == {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 5,
        "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["b"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["f"], "action": "SCMP_ACT_ALLOW"},
        ],
    }


def test_oci_format_stays() -> None:
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"], "syscalls": []}
    assert load(profile) == profile


def test_empty_profile_filters_nothing() -> None:
    assert load({}) is None


BAD: list[tuple[str, str]] = [
    ("", "Decoding seccomp profile failed: "),
    ("[]", "Decoding seccomp profile failed: not a JSON object"),
    ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [1]}', "Decoding seccomp profile failed: "),
    ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": 5}', "Decoding seccomp profile failed: "),
    ('{"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{}]}', "Decoding seccomp profile failed: "),
    (
        '{"defaultAction": "A", "architectures": ["x"], "archMap": [{}]}',
        "both 'architectures' and 'archMap'",
    ),
    ('{"defaultAction": "A", "syscalls": [{"name": "a", "names": ["b"]}]}', "both 'name' and 'names'"),
    (
        '{"defaultAction": "A", "syscalls": [{"names": ["b"], "includes": {"minKernel": "six"}}]}',
        "invalid kernel version: six",
    ),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_files(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        load_profile(text, ())
