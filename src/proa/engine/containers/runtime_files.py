"""The files below the exec root that engine, shim and container leave each other: written at every start."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import Any

import msgspec

from proa.shim import protocol

_encode = msgspec.json.Encoder().encode


def make(directory: str) -> None:
    """Make a container's runtime directory; what an earlier run said of its end is void."""
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        with suppress(FileNotFoundError):
            os.unlink(f"{directory}/{protocol.EXIT_NAME}")


def write_json(path: str | os.PathLike[str], value: dict[str, Any]) -> None:
    """Write a specification for the process that becomes a container, or joins one."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        data = memoryview(_encode(value))
        while data:
            data = data[os.write(fd, data) :]
    finally:
        os.close(fd)


def clear(directory: str | os.PathLike[str]) -> None:
    """Remove a runtime directory with its files; one that is gone, or going, needs nothing."""
    with suppress(OSError):
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            try:
                os.unlink(path)
            except IsADirectoryError:
                shutil.rmtree(path, ignore_errors=True)  # another runtime's
            except FileNotFoundError:
                pass
        os.rmdir(directory)
