"""A container's file system: the root, its mounts and devices, and leaving the host's root for good.

Everything happens in the container's own mount namespace: the host's mount table never shows any of it.
"""

from __future__ import annotations

import errno
import os

from proa import cgroups
from proa.linux import mount
from proa.runtime import covers, devices, inroot, mounts, sysctls
from proa.runtime.failure import SetupError, step

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any

    from proa.runtime.prepared import Prepared

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


def build(spec: dict[str, Any], prepared: Prepared, cgroup: str) -> int:
    """Mount the root and everything below it; return a descriptor of the root.

    `cgroup` is the path of the container's own.
    """
    linux = spec.get("linux", {})
    propagation = linux.get("rootfsPropagation", "")
    shared = _clone_shared(spec)
    with step("change the propagation of mounts"):
        mount.mount(None, "/", None, mount.MS_REC | _PROPAGATION[propagation])
    root_fd = mount_root(spec)
    for entry in spec.get("mounts", ()):
        tree = shared.pop(entry["destination"], -1)
        tree = prepared.take(entry, linux) if tree < 0 else tree
        hierarchies = cgroups.directories(cgroup) if entry.get("type") == "cgroup" and tree < 0 else {}
        mounts.attach(root_fd, entry, hierarchies, tree)
        if _is_own_dev(entry) and tree < 0:
            _fill_dev(root_fd)
    if any(_is_own_dev(entry) for entry in spec.get("mounts", ())):
        devices.make(root_fd, linux.get("devices", ()))
    _make_working_directory(root_fd, spec["process"].get("cwd", "/"))
    return root_fd


def _make_working_directory(root_fd: int, path: str) -> None:
    with step("create the working directory"):
        try:
            os.close(inroot.make_directories(root_fd, path))
        except NotADirectoryError as error:
            raise SetupError(f"Cannot mkdir: {path} is not a directory", errno.ENOTDIR) from error


def _clone_shared(spec: dict[str, Any]) -> dict[str, int]:
    """Clone, by destination, what is to stay in the host's peer group: before propagation to it is cut."""
    trees = {}
    for entry in spec.get("mounts", ()):
        options = entry.get("options") or []
        if "shared" in options or "rshared" in options:
            with step(f'clone "{entry["source"]}"'):
                trees[entry["destination"]] = mounts.detached(entry, mounts.Options(options))[0]
    return trees


def _is_own_dev(entry: dict[str, Any]) -> bool:
    """Whether a mount is a /dev that the container does not share with anybody."""
    if entry["destination"].rstrip("/") != "/dev":
        return False
    return entry.get("type") != "bind" and "bind" not in str(entry.get("options"))


def _fill_dev(root_fd: int) -> None:
    dev_fd = inroot.open_in_root(root_fd, "/dev", os.O_PATH | os.O_DIRECTORY)
    devices.make_defaults(dev_fd)
    os.close(dev_fd)


def mount_root(spec: dict[str, Any]) -> int:
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


def enter(root_fd: int) -> None:
    """Make the root the only thing this mount namespace has (pivot_root(2), "pivot_root(".", ".")")."""
    with step("enter the root"):
        old = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fchdir(root_fd)
        mount.pivot_root(".", ".")
        # The old root now lies over the new one. Slave: letting go of it unmounts nothing on the host.
        os.fchdir(old)
        os.close(old)
        mount.mount(None, ".", None, mount.MS_SLAVE | mount.MS_REC)
        mount.umount2(".", mount.MNT_DETACH)
        os.chdir("/")


def finish(spec: dict[str, Any], prepared: Prepared) -> None:
    """From inside: kernel parameters, read-only and masked paths, the read-only root."""
    linux = spec.get("linux", {})
    sysctls.apply(linux.get("sysctl", {}))
    root_fd = os.open("/", os.O_PATH | os.O_CLOEXEC)
    for path in linux.get("readonlyPaths", ()):
        if not prepared.covers(path):
            covers.make_read_only(root_fd, path)
    masked = [path for path in linux.get("maskedPaths", ()) if not prepared.covers(path)]
    if masked:
        with step("open /dev/null"):
            # The container's own: whoever may change it there must not change the host's.
            null_fd = os.open("/dev/null", os.O_PATH | os.O_CLOEXEC)
        for path in masked:
            covers.mask(root_fd, path, null_fd)
        os.close(null_fd)
    if spec.get("root", {}).get("readonly"):
        with step("make the root read-only"):
            mount.mount_setattr(root_fd, set=mount.MOUNT_ATTR_RDONLY)
    os.close(root_fd)
