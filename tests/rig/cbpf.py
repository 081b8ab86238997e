"""A machine for seccomp filters, and libseccomp's filter for a profile, made as runc makes it."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Any

Program = list[tuple[int, int, int, int]]

ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
OPERATORS = {"NE": 1, "LT": 2, "LE": 3, "EQ": 4, "GE": 5, "GT": 6, "MASKED_EQ": 7}  # enum scmp_compare
TOKENS = {"SCMP_ARCH_X86_64": 0xC000003E, "SCMP_ARCH_X86": 0x40000003, "SCMP_ARCH_X32": 0x4000003E}


def program(instructions: bytes) -> Program:
    return list(struct.iter_unpack("=HBBI", instructions))


def run(code: Program, architecture: int, number: int, arguments: tuple[int, ...]) -> int:
    """Execute a filter on one system call (Documentation/networking/filter.rst)."""
    data = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, architecture, 0, *arguments)
    accumulator = at = 0
    while True:
        operation, if_true, if_false, value = code[at]
        at += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x54:
                accumulator &= value
            case 0x05:
                at += value
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x25:
                at += if_true if accumulator > value else if_false
            case 0x35:
                at += if_true if accumulator >= value else if_false
            case 0x06:
                return value
            case _:
                raise AssertionError(f"unexpected instruction {operation:#x}")


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("value", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


class LibSeccomp:
    """The reference: libseccomp.so.2, used in the order and with the peculiarities of runc."""

    def __init__(self) -> None:
        library = self._library = ctypes.CDLL("libseccomp.so.2")
        library.seccomp_init.restype = ctypes.c_void_p
        library.seccomp_init.argtypes = (ctypes.c_uint32,)
        library.seccomp_release.argtypes = (ctypes.c_void_p,)
        library.seccomp_arch_add.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
        library.seccomp_export_bpf.argtypes = (ctypes.c_void_p, ctypes.c_int)
        library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
        library.seccomp_rule_add_array.argtypes = (
            ctypes.c_void_p,
            ctypes.c_uint32,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.POINTER(_Comparison),
        )

    def knows(self, name: str) -> bool:
        return bool(self._library.seccomp_syscall_resolve_name(name.encode()) != -1)

    def compile(self, seccomp: dict[str, Any]) -> Program:
        default = _action(seccomp["defaultAction"], seccomp.get("defaultErrnoRet"))
        context = self._library.seccomp_init(default)
        try:
            for architecture in seccomp.get("architectures", ()):
                self._library.seccomp_arch_add(context, TOKENS[architecture])
            for entry in seccomp["syscalls"]:
                self._add(context, entry, default)
            return self._export(context)
        finally:
            self._library.seccomp_release(context)

    def _add(self, context: int, entry: dict[str, Any], default: int) -> None:
        action = _action(entry["action"], entry.get("errnoRet"))
        comparisons = [
            _Comparison(
                each["index"],
                OPERATORS[each["op"].removeprefix("SCMP_CMP_")],
                each["value"],
                each.get("valueTwo", 0),
            )
            for each in entry.get("args") or ()
        ]
        groups = [comparisons]
        if len({each.argument for each in comparisons}) < len(comparisons):
            groups = [[each] for each in comparisons]
        for name in entry["names"]:
            number = self._library.seccomp_syscall_resolve_name(name.encode())
            if action == default or number == -1:
                continue
            for group in groups:
                array = (_Comparison * len(group))(*group)
                result = self._library.seccomp_rule_add_array(context, action, number, len(group), array)
                assert result == 0, f"libseccomp refuses {name}: {os.strerror(-result)}"

    def _export(self, context: int) -> Program:
        descriptor = os.memfd_create("filter")
        try:
            assert self._library.seccomp_export_bpf(context, descriptor) == 0
            return program(os.pread(descriptor, 1 << 20, 0))
        finally:
            os.close(descriptor)


def _action(action: str, errno: int | None) -> int:
    value = ACTIONS[action]
    if action in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        value |= 1 if errno is None else errno
    return value
