"""Kernel parameters of a container: only those that its own namespaces have.

The others would be the host's, whoever writes them: /proc/sys is one tree, of which each namespace shows its
part (namespaces(7), sysctl(8)). The rules and their words are runc's (libcontainer/configs/validate).
"""

from __future__ import annotations

import os

from proa.runtime.failure import SetupError

_IPC = frozenset((
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
    "kernel.shmmni", "kernel.shm_rmid_forced",
))  # fmt: skip


def check(keys: dict[str, str], parent: int) -> None:
    """Refuse what belongs to the host; `parent` is a process in the host's namespaces. Raises `SetupError`."""
    for key in keys:
        name = _dotted(key)
        if name in _IPC or name.startswith("fs.mqueue."):
            if _shared("ipc", parent):
                raise SetupError(f'sysctl "{key}" is not allowed in the hosts ipc namespace')
        elif name.startswith("net."):
            if _shared("net", parent):
                raise SetupError(f'sysctl "{key}" not allowed in host network namespace')
        elif name == "kernel.domainname":
            if _shared("uts", parent):
                raise SetupError(f'sysctl "{key}" is not allowed in the hosts uts namespace')
        elif name == "kernel.hostname":
            raise SetupError(f'sysctl "{key}" is not allowed as it conflicts with the OCI "hostname" field')
        else:
            raise SetupError(f'sysctl "{key}" is not in a separate kernel namespace')


def apply(keys: dict[str, str]) -> None:
    """Write them from inside the container's namespaces and root."""
    for key, value in keys.items():
        path = "/proc/sys/" + _relative(key)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            os.write(fd, value.encode())
            os.close(fd)
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            raise SetupError(f"open sysctl {key} file: {path}: {reason}", error.errno or 0) from error


def _shared(kind: str, parent: int) -> bool:
    """Whether this process is in the parent's namespace, however it got there."""
    return os.stat(f"/proc/self/ns/{kind}").st_ino == os.stat(f"/proc/{parent}/ns/{kind}").st_ino


def _relative(key: str) -> str:
    """Return the path below /proc/sys: whichever of "." and "/" comes first separates, as for sysctl(8)."""
    separator = next((character for character in key if character in "./"), ".")
    parts = key.split(separator)
    if separator == ".":
        parts = [part.replace("/", ".") for part in parts]
    if any(part in ("", ".", "..") for part in parts):
        raise SetupError(f'sysctl "{key}" is not the name of a kernel parameter')
    return "/".join(parts)


def _dotted(key: str) -> str:
    return _relative(key).replace("/", ".")
