"""Reading and writing the small files of a cgroup."""

from __future__ import annotations

import os


def read(path: str) -> str:
    """Return the text of a control file, without the final newline."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, 65536)
        while chunk := os.read(descriptor, 65536):
            data += chunk
    finally:
        os.close(descriptor)
    return data.decode().rstrip("\n")


def write(path: str, value: str) -> None:
    """Write `value` in one call: the kernel takes each write as one command."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(descriptor)


def number(path: str) -> int | None:
    """Return the number in a control file; None for "max"."""
    text = read(path)
    return None if text == "max" else int(text)


def optional_number(path: str, absent: int = 0) -> int:
    """Return the number in a control file, or `absent` when the kernel has no such file."""
    try:
        return number(path) or 0
    except FileNotFoundError:
        return absent


def table(path: str) -> dict[str, int]:
    """Return a flat keyed file ("key value" lines): memory.stat, cpu.stat, memory.events, …"""
    result = {}
    for line in read(path).splitlines():
        fields = line.split()
        if len(fields) >= 2 and fields[1].isdecimal():
            result[fields[0]] = int(fields[1])
    return result
