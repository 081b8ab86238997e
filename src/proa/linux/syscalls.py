"""System call numbers by name, per ABI: x86_64 x86 x32 aarch64 arm riscv64. Data: syscalls.json.

`scripts/generate_syscalls.py` makes the data. Read on first use: a shim never needs it.
"""

from __future__ import annotations

import json
import os

_tables: dict[str, dict[str, int]] = {}


def table(abi: str) -> dict[str, int]:
    """Return {name: number as seccomp sees it, so with bit 30 on x32}; KeyError for another ABI."""
    if not _tables:
        path = os.path.join(os.path.dirname(__file__), "syscalls.json")
        with open(path, encoding="ascii") as file:  # noqa: PTH123 - pathlib is dear
            _tables.update(json.load(file))
    return _tables[abi]
