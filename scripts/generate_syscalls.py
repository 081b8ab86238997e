#!/usr/bin/env python3
"""Write src/proa/linux/syscalls.json: the numbers of system calls by name, for each ABI that Proa filters.

x86's three ABIs come from the kernel headers (package linux-libc-dev), the others from libseccomp, whose
numbers for i386 would be no good: it has pseudo numbers for calls that also go through socketcall and ipc.
Calls that are newer than the installed packages are listed here; since Linux 5.1 a new call has the same
number everywhere (arch/*/kernel/syscalls/syscall.tbl).
"""

from __future__ import annotations

import ctypes
import json
import re
from pathlib import Path

TARGET = Path(__file__).parent.parent / "src" / "proa" / "linux" / "syscalls.json"
HEADERS = Path("/usr/include/x86_64-linux-gnu/asm")
X32_BIT = 0x40000000

X86 = {"x86_64": "unistd_64.h", "x86": "unistd_32.h", "x32": "unistd_x32.h"}
# libseccomp's tokens are the kernel's AUDIT_ARCH_* (linux/audit.h).
OTHERS = {"aarch64": 0xC00000B7, "arm": 0x40000028, "riscv64": 0xC00000F3}

NEWER_EVERYWHERE = {
    "cachestat": 451,
    "fchmodat2": 452,
    "map_shadow_stack": 453,
    "futex_wake": 454,
    "futex_wait": 455,
    "futex_requeue": 456,
    "statmount": 457,
    "listmount": 458,
    "lsm_get_self_attr": 459,
    "lsm_set_self_attr": 460,
    "lsm_list_modules": 461,
    "mseal": 462,
    "setxattrat": 463,
    "getxattrat": 464,
    "listxattrat": 465,
    "removexattrat": 466,
    "open_tree_attr": 467,
    "file_getattr": 468,
    "file_setattr": 469,
}
MISSING = {"map_shadow_stack": ("x32",)}
NEWER = {"x86_64": {"uretprobe": 335}, "riscv64": {"riscv_hwprobe": 258, "riscv_flush_icache": 259}}


def from_header(name: str) -> dict[str, int]:
    text = (HEADERS / name).read_text()
    pattern = r"^#define __NR_(\w+) (?:\(__X32_SYSCALL_BIT \+ )?(\d+)\)?$"
    bit = X32_BIT if "x32" in name else 0
    return {call: int(number) | bit for call, number in re.findall(pattern, text, re.MULTILINE)}


def from_libseccomp(token: int, names: list[str]) -> dict[str, int]:
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_syscall_resolve_name_arch.argtypes = (ctypes.c_uint32, ctypes.c_char_p)
    numbers = {name: library.seccomp_syscall_resolve_name_arch(token, name.encode()) for name in names}
    return {name: number for name, number in numbers.items() if number >= 0}


def main() -> None:
    tables = {abi: from_header(header) for abi, header in X86.items()}
    known = Path("/usr/include/seccomp-syscalls.h").read_text()
    names = sorted(
        {*re.findall(r"^#define __SNR_(\w+)\s", known, re.MULTILINE), *tables["x86_64"], *tables["x86"]}
    )
    tables |= {abi: from_libseccomp(token, names) for abi, token in OTHERS.items()}
    for abi, table in tables.items():
        bit = X32_BIT if abi == "x32" else 0
        newer = {**NEWER_EVERYWHERE, **NEWER.get(abi, {})}
        newer = {name: number for name, number in newer.items() if abi not in MISSING.get(name, ())}
        table.update({name: number | bit for name, number in newer.items()})
    lines = [
        f'"{abi}": {json.dumps(dict(sorted(table.items())), separators=(",", ":"))}'
        for abi, table in tables.items()
    ]
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    for abi, table in tables.items():
        print(f"{abi}: {len(table)} calls, highest {max(table.values()) & ~X32_BIT}")


if __name__ == "__main__":
    main()
