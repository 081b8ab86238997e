"""Capabilities of the calling thread (capabilities(7)): names, sets, and the order of changing them."""

from __future__ import annotations

import ctypes
import errno
import functools
import struct

from proa.linux import libc

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Iterable

# By number (linux/capability.h).
_NAMES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT
SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL
SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
NAMES = tuple("CAP_" + name for name in _NAMES.split())
NUMBERS = {name: number for number, name in enumerate(NAMES)}

_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_CAP_AMBIENT = 23, 24, 47
_AMBIENT_RAISE, _AMBIENT_CLEAR_ALL = 2, 4
_VERSION_3 = 0x20080522

_prctl = libc.function("prctl", ctypes.c_int, *[ctypes.c_ulong] * 4)
_capset = libc.function("capset", ctypes.c_char_p, ctypes.c_char_p)
_capget = libc.function("capget", ctypes.c_char_p, ctypes.c_char_p)


def mask(names: Iterable[str]) -> int:
    """Return the bit mask of capabilities; ValueError for a name that is not in NAMES."""
    bits = 0
    for name in names:
        if name not in NUMBERS:
            raise ValueError(f"unknown capability {name!r}")
        bits |= 1 << NUMBERS[name]
    return bits


def names(bits: int) -> list[str]:
    """Return the names in a bit mask by number; bits that this table does not know are left out."""
    return [name for number, name in enumerate(NAMES) if bits >> number & 1]


@functools.cache
def _bounding() -> list[int]:
    """Return 0 or 1 for each capability that the kernel knows, by number: as it was when first asked."""
    bits: list[int] = []
    while True:
        try:
            bits.append(_prctl(_PR_CAPBSET_READ, len(bits), 0, 0, 0))
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: beyond the kernel's last capability
                raise
            return bits


def bounding_set() -> int:
    """Return the bounding set as a bit mask, capabilities newer than NAMES included.

    Asked once: forty system calls a start are too many. `drop_bounding` does not change the answer.
    """
    return sum(bit << number for number, bit in enumerate(_bounding()))


def supported() -> tuple[str, ...]:
    """Return the names of the capabilities that this kernel knows."""
    return NAMES[: len(_bounding())]


def get() -> tuple[int, int, int]:
    """Return the (effective, permitted, inheritable) sets of the calling thread."""
    header, data = struct.pack("=Ii", _VERSION_3, 0), ctypes.create_string_buffer(24)
    _capget(header, data)
    low_e, low_p, low_i, high_e, high_p, high_i = struct.unpack("=6I", data.raw)
    return high_e << 32 | low_e, high_p << 32 | low_p, high_i << 32 | low_i


def set_(effective: int, permitted: int, inheritable: int) -> None:
    """capset(2) for the calling thread. EPERM: a bit that is not permitted now, or an inheritable one."""
    sets = (effective, permitted, inheritable)
    words = [value >> shift & 0xFFFFFFFF for shift in (0, 32) for value in sets]
    _capset(struct.pack("=Ii", _VERSION_3, 0), struct.pack("=6I", *words))


def drop_bounding(keep: Iterable[str]) -> None:
    """Drop everything but `keep` from the bounding set, for good. EPERM without CAP_SETPCAP.

    Before a change of user: that clears the effective set, and CAP_SETPCAP with it.
    """
    surplus = bounding_set() & ~mask(keep)
    for number in range(surplus.bit_length()):
        if surplus >> number & 1:
            _prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)


def set_ambient(wanted: Iterable[str]) -> None:
    """Replace the ambient set. Each capability must be permitted and inheritable already, else EPERM."""
    _prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)
    for name in wanted:
        _prctl(_PR_CAP_AMBIENT, _AMBIENT_RAISE, NUMBERS[name], 0, 0)


def apply(
    effective: Iterable[str],
    permitted: Iterable[str],
    inheritable: Iterable[str],
    ambient: Iterable[str] = (),
) -> None:
    """Take the sets of an OCI `process.capabilities` except the bounding one (`drop_bounding` did that).

    After the change of user: PR_SET_KEEPCAPS saves the permitted set over it, the effective set is cleared
    always. Ambient capabilities come last, as they need their permitted and inheritable ones.
    """
    set_(mask(effective), mask(permitted), mask(inheritable))
    set_ambient(ambient)
