"""Who a process runs as: `user[:group]`, looked up in the container's own /etc/passwd and /etc/group.

The files come from the image and are read as hostile input: size-limited, malformed lines skipped.
"""

from __future__ import annotations

import os

from proa.linux.openat import RESOLVE_IN_ROOT, openat2
from proa.runtime.failure import SetupError

_LIMIT = 16 << 20
_MAX_ID = 0x7FFFFFFF
_NO_GROUP = "unable to find group {}: no matching entries in group file"


class Identity:
    """Numeric user, group and supplementary groups, and the home directory."""

    __slots__ = ("gid", "groups", "home", "name", "uid")

    def __init__(self, uid: int, gid: int, groups: list[int], home: str, name: str = "") -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.home = home
        self.name = name


def _entries(root_fd: int, path: str, fields: int) -> list[list[str]]:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        fd = os.open(path, flags) if root_fd < 0 else openat2(root_fd, path, flags, resolve=RESOLVE_IN_ROOT)
    except OSError:
        return []  # images without the file are common; names then cannot be found
    try:
        data = b""
        while len(data) < _LIMIT and (chunk := os.read(fd, 1 << 16)):
            data += chunk
    except OSError:
        return []
    finally:
        os.close(fd)
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    return [parts for line in lines if len(parts := line.split(":")) >= fields and not line.startswith("#")]


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and int(text) <= _MAX_ID else None


def resolve(user: str, additional: list[str], root_fd: int = -1) -> Identity:
    """Return the identity for `user[:group]` (names or numbers; "" is root) plus `--group-add` groups.

    `root_fd` is the root of the container's files, -1 from inside. Raises `SetupError`.
    """
    name, _, group = user.partition(":")
    identity = _user(root_fd, name or "0")
    groups = _entries(root_fd, "/etc/group", 3)
    if group:
        identity.gid = _group(group, groups, _NO_GROUP)
        identity.groups = []
    elif identity.name:
        members = (row for row in groups if len(row) > 3 and identity.name in row[3].split(","))
        identity.groups = [gid for row in members if (gid := _number(row[2])) is not None]
    for wanted in additional:
        identity.groups.append(_group(wanted, groups, _NO_GROUP))
    # The primary group among them: else dropping it would get round a file's denial (CVE-2022-2990).
    identity.groups = list(dict.fromkeys([identity.gid, *identity.groups]))
    return identity


def _user(root_fd: int, name: str) -> Identity:
    number = _number(name)
    for row in _entries(root_fd, "/etc/passwd", 4):
        uid, gid = _number(row[2]), _number(row[3])
        if uid is None or gid is None:
            continue
        if row[0] == name or uid == number:
            return Identity(uid, gid, [], row[5] if len(row) > 5 and row[5] else "/", row[0])
    if name.isdecimal() and number is None:
        raise SetupError(f"uids and gids must be in range 0-{_MAX_ID}")
    if number is None:
        raise SetupError(f"unable to find user {name}: no matching entries in passwd file")
    return Identity(number, 0, [], "/")


def _group(name: str, groups: list[list[str]], message: str) -> int:
    number = _number(name)
    if number is not None:
        return number
    for row in groups:
        gid = _number(row[2])
        if row[0] == name and gid is not None:
            return gid
    raise SetupError(message.format(name))
