"""The mounts of a runtime specification: option words to kernel flags, and attaching one inside the root.

See "Linux mount options" in the OCI runtime specification's config.md. Every mount is made detached
(fsmount, open_tree) and moved onto a descriptor of its target: no path is looked up twice.
"""

from __future__ import annotations

import errno
import os

from proa.linux import mount, namespaces
from proa.runtime import inroot, parts
from proa.runtime.failure import SetupError, step

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any

_ATIME = mount.MOUNT_ATTR__ATIME
# word: (attributes to set, attributes to clear)
_ATTRIBUTES = {
    "ro": (mount.MOUNT_ATTR_RDONLY, 0),
    "rw": (0, mount.MOUNT_ATTR_RDONLY),
    "nosuid": (mount.MOUNT_ATTR_NOSUID, 0),
    "suid": (0, mount.MOUNT_ATTR_NOSUID),
    "nodev": (mount.MOUNT_ATTR_NODEV, 0),
    "dev": (0, mount.MOUNT_ATTR_NODEV),
    "noexec": (mount.MOUNT_ATTR_NOEXEC, 0),
    "exec": (0, mount.MOUNT_ATTR_NOEXEC),
    "noatime": (mount.MOUNT_ATTR_NOATIME, _ATIME),
    "atime": (mount.MOUNT_ATTR_RELATIME, _ATIME),
    "relatime": (mount.MOUNT_ATTR_RELATIME, _ATIME),
    "norelatime": (mount.MOUNT_ATTR_STRICTATIME, _ATIME),
    "strictatime": (mount.MOUNT_ATTR_STRICTATIME, _ATIME),
    "nostrictatime": (mount.MOUNT_ATTR_RELATIME, _ATIME),
    "nodiratime": (mount.MOUNT_ATTR_NODIRATIME, 0),
    "diratime": (0, mount.MOUNT_ATTR_NODIRATIME),
    "nosymfollow": (mount.MOUNT_ATTR_NOSYMFOLLOW, 0),
    "symfollow": (0, mount.MOUNT_ATTR_NOSYMFOLLOW),
    "defaults": (0, 0),
}
# What LXCFS and the like replace (runc allows the same).
_MOUNTABLE_IN_PROC = frozenset((
    "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime",
    "/proc/loadavg", "/proc/slabinfo", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
))  # fmt: skip
_PROPAGATION = {
    "private": mount.MS_PRIVATE,
    "slave": mount.MS_SLAVE,
    "shared": mount.MS_SHARED,
    "unbindable": mount.MS_UNBINDABLE,
}


class Options:
    """Parsed option words: attributes, recursive attributes, propagation, the file system's own options."""

    def __init__(self, words: list[str]) -> None:
        self.bind = self.recursive = False
        self.set = self.clear = self.recursive_set = self.recursive_clear = 0
        self.propagation: list[tuple[int, bool]] = []
        self.data: dict[str, str | None] = {}
        for word in words:
            self._add(word)

    def _add(self, word: str) -> None:
        if word in ("bind", "rbind"):
            self.bind, self.recursive = True, word == "rbind"
        elif word in _ATTRIBUTES:
            added, removed = _ATTRIBUTES[word]
            self.set = self.set & ~removed | added
            self.clear = self.clear & ~added | removed
        elif word.startswith("r") and word[1:] in _ATTRIBUTES:  # rro, rnosuid …: the whole subtree
            added, removed = _ATTRIBUTES[word[1:]]
            self.recursive_set |= added
            self.recursive_clear |= removed
        elif word in _PROPAGATION:
            self.propagation.append((_PROPAGATION[word], False))
        elif word.startswith("r") and word[1:] in _PROPAGATION:
            self.propagation.append((_PROPAGATION[word[1:]], True))
        else:
            key, separator, value = word.partition("=")
            self.data[key] = value if separator else None


def attach(root_fd: int, entry: dict[str, Any], cgroup_directories: dict[str, str], prepared: int = -1) -> None:
    """Make one entry of the specification's `mounts` inside the root that `root_fd` opens.

    `prepared` is what it would make, detached, or -1. `cgroup_directories` are the container's own on v1.
    """
    options = Options(entry.get("options") or [])
    destination = entry["destination"]
    with step(f'mount "{entry.get("source") or entry.get("type")}" at {destination}'):
        hierarchies = cgroup_directories if entry.get("type") == "cgroup" and prepared < 0 else {}
        if hierarchies:
            tree, directory = _cgroup_base(options), True
        elif prepared >= 0:
            tree, directory = prepared, inroot.is_directory(prepared)
        else:
            tree, directory = detached(entry, options)
        try:
            target = inroot.open_target(root_fd, destination, directory=directory)
            try:
                _refuse_mismatch(entry, target, directory)
                _refuse_in_proc(root_fd, entry, target, tree)
                mount.move_mount(tree, target)
            finally:
                os.close(target)
            if hierarchies:
                _fill_cgroup_base(tree, options, hierarchies)
            for propagation, recursive in options.propagation:
                mount.mount_setattr(tree, propagation=propagation, recursive=recursive)
        finally:
            os.close(tree)


def _refuse_mismatch(entry: dict[str, Any], target: int, directory: bool) -> None:
    """A file can only be mounted on a file and a directory on a directory: say so as clearly as Docker."""
    if inroot.is_directory(target) != directory:
        raise SetupError(
            f'error mounting "{entry.get("source", "")}" to rootfs at "{entry["destination"]}": '
            "not a directory: "
            "Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host "
            "path exists and is the expected type",
            errno.ENOTDIR,
        )


def _refuse_in_proc(root_fd: int, entry: dict[str, Any], target: int, tree: int) -> None:
    """Nothing but procfs on /proc, and nothing in it: the runtime writes there, e.g. the process's label.

    Resolved names count, so that no link of the image leads there (CVE-2019-16884, CVE-2019-19921).
    """
    root, place = (os.readlink(f"/proc/self/fd/{fd}") for fd in (root_fd, target))
    inside = place.removeprefix(root)
    if inside == "/proc" and entry.get("type") != "proc" and os.fstat(tree).st_dev != os.stat("/proc").st_dev:
        reason = "it is not of type proc"
    elif inside.startswith("/proc/") and inside not in _MOUNTABLE_IN_PROC:
        reason = "it is inside /proc"
    else:
        return
    source = entry.get("source") or entry.get("type")
    raise SetupError(
        f'error mounting "{source}" to rootfs at "{entry["destination"]}": '
        f'"{inside}" cannot be mounted because {reason}'
    )


def detached(entry: dict[str, Any], options: Options) -> tuple[int, bool]:
    """Return a detached mount and whether its root is a directory."""
    if "proa" in entry:
        return _with_attributes(parts.open_tree(entry, _clone_flags(options)), options)
    if options.bind or entry.get("type") == "bind":
        return _detached_bind(entry["source"], options)
    fstype = entry["type"]
    # The kernel has one name for both: cgroup v2 is meant where no v1 hierarchy is listed.
    fstype = "cgroup2" if fstype == "cgroup" else fstype
    tree = mount.new_mount(fstype, options.data, options.set, entry.get("source") or fstype)
    return tree, True


def _detached_bind(source: str, options: Options) -> tuple[int, bool]:
    return _with_attributes(_open_tree(source, _clone_flags(options)), options)


def _clone_flags(options: Options) -> int:
    return mount.OPEN_TREE_CLONE | (mount.AT_RECURSIVE if options.recursive else 0)


def _with_attributes(tree: int, options: Options) -> tuple[int, bool]:
    if options.set or options.clear:
        mount.mount_setattr(tree, set=options.set, clear=options.clear)
    if options.recursive_set or options.recursive_clear:
        mount.mount_setattr(
            tree, set=options.recursive_set, clear=options.recursive_clear, recursive=options.recursive
        )
    return tree, inroot.is_directory(tree)


def _open_tree(source: str, flags: int) -> int:
    """Clone the mounts at `source`; for /proc/PID/root/… in the mount namespace of that process.

    The kernel clones only what is in the caller's own namespace, but attaches the clone anywhere.
    """
    parts = source.split("/", 4)
    if parts[1:2] != ["proc"] or parts[3:4] != ["root"] or len(parts) < 5:
        return mount.open_tree(mount.AT_FDCWD, source, flags)
    own, other = (os.open(f"/proc/{who}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC) for who in ("self", parts[2]))
    try:
        namespaces.setns(other, namespaces.CLONE_NEWNS)
        try:
            return mount.open_tree(mount.AT_FDCWD, f"/{parts[4]}", flags)
        finally:
            namespaces.setns(own, namespaces.CLONE_NEWNS)
    finally:
        os.close(own)
        os.close(other)


def cgroup_tree(entry: dict[str, Any], directories: dict[str, str]) -> int:
    """Return a detached mount of the container's own directory of each v1 hierarchy.

    Raises OSError (EINVAL) where only an attached mount can have others below it: before Linux 6.15.
    """
    options = Options(entry["options"])
    base = _cgroup_base(options)
    try:
        _fill_cgroup_base(base, options, directories)
    except BaseException:
        os.close(base)
        raise
    return base


def _cgroup_base(options: Options) -> int:
    return mount.new_mount("tmpfs", {"mode": "755"}, options.set & ~mount.MOUNT_ATTR_RDONLY, "cgroup")


def _fill_cgroup_base(base: int, options: Options, directories: dict[str, str]) -> None:
    """Show the container's own directory of each v1 hierarchy, on a tmpfs as hosts have it."""
    for name, source in directories.items():
        tree, _ = _detached_bind(source, options)
        try:
            os.mkdir(name, 0o755, dir_fd=base)
            attach_at(base, name, tree)
        finally:
            os.close(tree)
        for alias in name.split(",") if "," in name else ():
            os.symlink(name, alias, dir_fd=base)
    if options.set & mount.MOUNT_ATTR_RDONLY:
        mount.mount_setattr(base, set=mount.MOUNT_ATTR_RDONLY)


def attach_at(directory_fd: int, name: str, tree: int) -> None:
    """Attach a detached mount to an entry of a directory."""
    target = os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=directory_fd)
    try:
        mount.move_mount(tree, target)
    finally:
        os.close(target)
