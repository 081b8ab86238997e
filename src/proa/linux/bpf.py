"""eBPF programs that decide on device accesses of a cgroup v2 (bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE)."""

from __future__ import annotations

import ctypes
import os
import struct

from proa.linux import libc

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    Exception_ = tuple[tuple[str, int, int], str]
    """((type "c" or "b", major, minor), accesses out of "rwm"); -1 is any number"""

_SYS_BPF = {"x86_64": 321, "aarch64": 280, "armv7l": 386, "riscv64": 280, "ppc64le": 361, "s390x": 351}
_PROG_LOAD, _PROG_ATTACH, _PROG_DETACH, _PROG_GET_FD_BY_ID, _PROG_QUERY = 5, 8, 9, 13, 16
_PROG_TYPE_CGROUP_DEVICE, _ATTACH_CGROUP_DEVICE = 15, 6
_F_ALLOW_MULTI = 2
_MAX_ATTACHED = 64  # BPF_CGROUP_MAX_PROGS

# struct bpf_cgroup_dev_ctx: u32 access_type (access << 16 | type), u32 major, u32 minor
_TYPES = {"b": 1, "c": 2}
_ACCESSES = {"m": 1, "r": 2, "w": 4}

_bpf = libc.system_call(_SYS_BPF[os.uname().machine], ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)


def _instruction(code: int, destination: int = 0, source: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    """struct bpf_insn on a little-endian machine, which all but s390x are."""
    return struct.pack("=BBhi", code, source << 4 | destination, offset, immediate)


def _load(destination: int, offset: int) -> bytes:
    return _instruction(0x61, destination, 1, offset)  # r[destination] = *(u32 *)(r1 + offset)


def _return(value: int) -> bytes:
    return _instruction(0xB7, 0, immediate=value) + _instruction(0x95)  # r0 = value; exit


_JUMP_EQUAL, _JUMP_UNEQUAL = 0x15, 0x55
_PROLOGUE = (
    _load(2, 0)
    + _instruction(0xBC, 3, 2)  # w3 = w2
    + _instruction(0x54, 2, immediate=0xFFFF)  # w2 &= 0xffff: type
    + _instruction(0x74, 3, immediate=16)  # w3 >>= 16: access
    + _load(4, 4)  # major
    + _load(5, 8)  # minor
)


def device_program(allow_by_default: bool, exceptions: list[Exception_]) -> bytes:
    """Compile a default and its exceptions; semantics of the v1 controller (security/device_cgroup.c).

    An allowing exception must cover every access asked for; a denying one holds if it names any of them.
    """
    program = _PROLOGUE
    for (kind, major, minor), access in exceptions:
        bits = sum(_ACCESSES[letter] for letter in set(access))
        tests = [(_JUMP_UNEQUAL, 2, _TYPES[kind])]
        tests += [(_JUMP_UNEQUAL, 4, major)] if major >= 0 else []
        tests += [(_JUMP_UNEQUAL, 5, minor)] if minor >= 0 else []
        asked = b""
        if bits != 7:
            mask = bits if allow_by_default else ~bits & 7
            asked = _instruction(0xBC, 1, 3) + _instruction(0x54, 1, immediate=mask)  # w1 = w3 & mask
            tests.append((_JUMP_EQUAL if allow_by_default else _JUMP_UNEQUAL, 1, 0))
        program += _block(tests, asked, int(not allow_by_default))
    return program + _return(int(allow_by_default))


def _block(tests: list[tuple[int, int, int]], asked: bytes, decision: int) -> bytes:
    """Return a decision behind tests that jump past it; `asked` computes the last test's register."""
    block = _return(decision)
    for index, (jump, register, value) in enumerate(reversed(tests)):
        block = _instruction(jump, register, 0, len(block) // 8, value) + block
        if index == 0:
            block = asked + block
    return block


def load_device_program(program: bytes) -> int:
    """Verify and load; return a close-on-exec descriptor."""
    instructions = ctypes.create_string_buffer(program, len(program))
    license_ = ctypes.create_string_buffer(b"Apache-2.0")
    pointers = ctypes.addressof(instructions), ctypes.addressof(license_)
    # prog_type insn_cnt insns license; log_level log_size log_buf kern_version prog_flags
    attributes = struct.pack("=IIQQIIQII", _PROG_TYPE_CGROUP_DEVICE, len(program) // 8, *pointers, 0, 0, 0, 0, 0)
    return _bpf(_PROG_LOAD, attributes, len(attributes))


def attached(cgroup_fd: int) -> list[int]:
    """Return the ids of the device programs attached to the cgroup itself.

    EINVAL, ENOSYS: a kernel without CONFIG_CGROUP_BPF.
    """
    ids = (ctypes.c_uint32 * _MAX_ATTACHED)()
    query = struct.pack(
        "=IIIIQII", cgroup_fd, _ATTACH_CGROUP_DEVICE, 0, 0, ctypes.addressof(ids), _MAX_ATTACHED, 0
    )
    buffer = ctypes.create_string_buffer(query, len(query))
    _bpf(_PROG_QUERY, buffer, len(query))
    (count,) = struct.unpack_from("=I", buffer.raw, 24)
    return list(ids[:count])


def replace_device_program(cgroup_fd: int, program: bytes, old: list[int]) -> None:
    """Attach `program` (b"": none), then detach `old`: both hold for a moment, never neither."""
    if program:
        descriptor = load_device_program(program)
        try:
            _attach(_PROG_ATTACH, cgroup_fd, descriptor, _F_ALLOW_MULTI)
        finally:
            os.close(descriptor)
    for identifier in old:
        request = struct.pack("=III", identifier, 0, 0)
        descriptor = _bpf(_PROG_GET_FD_BY_ID, request, len(request))
        try:
            _attach(_PROG_DETACH, cgroup_fd, descriptor, 0)
        finally:
            os.close(descriptor)


def _attach(command: int, cgroup_fd: int, descriptor: int, flags: int) -> None:
    attributes = struct.pack("=IIII", cgroup_fd, descriptor, _ATTACH_CGROUP_DEVICE, flags)
    _bpf(command, attributes, len(attributes))
