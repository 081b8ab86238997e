"""A container's file system: the root, its mounts and devices, and leaving the host's root for good.

Everything happens in the container's own mount namespace: the host's mount table never shows any of it.
"""

from __future__ import annotations

import os
import stat

from proa.linux import mount
from proa.runtime import defaults, inroot, mounts
from proa.runtime.failure import SetupError, step

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any

_PROPAGATION = {
    "": mount.MS_SLAVE,
    "private": mount.MS_PRIVATE,
    "rprivate": mount.MS_PRIVATE,
    "slave": mount.MS_SLAVE,
    "rslave": mount.MS_SLAVE,
    "shared": mount.MS_SHARED,
    "rshared": mount.MS_SHARED,
    "unbindable": mount.MS_UNBINDABLE,
    "runbindable": mount.MS_UNBINDABLE,
}
_DEVICE_TYPES = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "core": "/proc/kcore",
    "ptmx": "pts/ptmx",
}


def build(spec: dict[str, Any], cgroup_directories: dict[str, str]) -> int:
    """Mount the root and everything below it; return a descriptor of the root."""
    linux = spec.get("linux", {})
    propagation = linux.get("rootfsPropagation", "")
    with step("change the propagation of mounts"):
        mount.mount(None, "/", None, mount.MS_REC | _PROPAGATION[propagation])
    root_fd = _mount_root(spec)
    own_dev = False
    for entry in spec.get("mounts", ()):
        mounts.attach(root_fd, entry, cgroup_directories)
        if entry["destination"].rstrip("/") == "/dev":
            own_dev = entry.get("type") != "bind" and "bind" not in str(entry.get("options"))
    if own_dev:
        _make_devices(root_fd, linux.get("devices", ()))
    with step("create the working directory"):
        os.close(inroot.make_directories(root_fd, spec["process"].get("cwd", "/")))
    return root_fd


def _mount_root(spec: dict[str, Any]) -> int:
    """Mount the overlay (or bind the directory) that is the root; it is private: nothing leaves it."""
    overlay = spec.get("proa", {}).get("overlay")
    if overlay:
        place = overlay["mountpoint"]
        with step("mount the overlay of the image's layers"):
            # Relative names keep more than a hundred layers within the one page that mount(2) takes.
            os.chdir(overlay["base"])
            mount.mount("overlay", place, "overlay", 0, overlay_options(overlay))
    else:
        place = spec["root"]["path"]
        with step(f"bind the root {place}"):
            mount.mount(place, place, None, mount.MS_BIND | mount.MS_REC)
    with step("open the root"):
        mount.mount(None, place, None, mount.MS_PRIVATE)
        return os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def overlay_options(overlay: dict[str, Any]) -> str:
    """Return the options of mount(2) for an overlay description."""
    words = [
        "lowerdir=" + ":".join(overlay["lower"]),
        "upperdir=" + _escaped(overlay["upper"]),
        "workdir=" + _escaped(overlay["work"]),
        # Where the kernel's default is on, renames and chmods would write what no layer format can say.
        "redirect_dir=off",
        "metacopy=off",
        *overlay.get("options", ()),
    ]
    return ",".join(words)


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace(",", "\\,").replace(":", "\\:")


def _make_devices(root_fd: int, devices: Any) -> None:
    """Create the default and the requested device nodes, and the links programs expect in /dev."""
    mask = os.umask(0)
    try:
        for device in (*defaults.DEVICE_NODES, *devices):
            with step(f"create device {device['path']}"):
                _make_device(root_fd, device)
    finally:
        os.umask(mask)
    dev_fd = inroot.open_in_root(root_fd, "/dev", os.O_PATH | os.O_DIRECTORY)
    for name, target in _DEVICE_LINKS.items():
        if name == "core" and not os.path.exists(target):
            continue  # a kernel without CONFIG_PROC_KCORE
        try:
            os.symlink(target, name, dir_fd=dev_fd)
        except FileExistsError:
            pass  # a mount or device asked for by the user takes precedence
    os.close(dev_fd)


def _make_device(root_fd: int, device: dict[str, Any]) -> None:
    directory, _, name = device["path"].rpartition("/")
    parent = inroot.make_directories(root_fd, directory)
    try:
        mode = _DEVICE_TYPES[device["type"]] | device.get("fileMode", 0o666)
        try:
            os.mknod(name, mode, os.makedev(device.get("major", 0), device.get("minor", 0)), dir_fd=parent)
        except FileExistsError:
            return  # asked for twice, or already there through a mount
        os.chown(name, device.get("uid", 0), device.get("gid", 0), dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(parent)


def enter(root_fd: int) -> None:
    """Make the root the only thing this mount namespace has (pivot_root(2), "pivot_root(".", ".")")."""
    with step("enter the root"):
        os.fchdir(root_fd)
        mount.pivot_root(".", ".")
        # The old root now lies over the new one. Slave: letting go of it unmounts nothing on the host.
        mount.mount(None, ".", None, mount.MS_SLAVE | mount.MS_REC)
        mount.umount2(".", mount.MNT_DETACH)
        os.chdir("/")


def finish(spec: dict[str, Any]) -> None:
    """From inside: kernel parameters, read-only and masked paths, the read-only root."""
    linux = spec.get("linux", {})
    for key, value in linux.get("sysctl", {}).items():
        _set_sysctl(key, value)
    for path in linux.get("readonlyPaths", ()):
        _make_read_only(path)
    for path in linux.get("maskedPaths", ()):
        _mask(path)
    if spec.get("root", {}).get("readonly"):
        with step("make the root read-only"):
            fd = os.open("/", os.O_PATH | os.O_CLOEXEC)
            mount.mount_setattr(fd, set=mount.MOUNT_ATTR_RDONLY)
            os.close(fd)


def _set_sysctl(key: str, value: str) -> None:
    path = "/proc/sys/" + (key if "/" in key else key.replace(".", "/"))
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        os.write(fd, value.encode())
        os.close(fd)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise SetupError(f"open sysctl {key} file: {path}: {reason}", error.errno or 0) from error


def _make_read_only(path: str) -> None:
    with step(f"make {path} read-only"):
        try:
            tree = mount.open_tree(mount.AT_FDCWD, path, mount.OPEN_TREE_CLONE | mount.AT_RECURSIVE)
        except FileNotFoundError:
            return  # not on this kernel
        mount.mount_setattr(tree, set=mount.MOUNT_ATTR_RDONLY, recursive=True)
        _cover(path, tree)


def _mask(path: str) -> None:
    """Hide a path: /dev/null over a file, an empty read-only tmpfs over a directory."""
    with step(f"mask {path}"):
        try:
            directory = stat.S_ISDIR(os.stat(path).st_mode)
        except FileNotFoundError:
            return
        if directory:
            tree = mount.new_mount("tmpfs", {}, mount.MOUNT_ATTR_RDONLY, "tmpfs")
        else:
            tree = mount.open_tree(mount.AT_FDCWD, "/dev/null", mount.OPEN_TREE_CLONE)
        _cover(path, tree)


def _cover(path: str, tree: int) -> None:
    target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    mount.move_mount(tree, target)
    os.close(target)
    os.close(tree)
