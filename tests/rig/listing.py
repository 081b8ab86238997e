"""Everything about a directory tree that a layer must carry, as a dict to compare."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def describe(root: Path, *, times: bool = True, skip: tuple[str, ...] = ()) -> dict[str, str]:
    """Map each path below `root` to one line about it; hard links name the first of their paths.

    The root's own time is left out: making the tree changes it. `skip` are prefixes of attributes.
    """
    inodes: dict[int, str] = {}
    found: dict[str, str] = {}
    for path in sorted([root, *root.rglob("*")]):
        name = str(path.relative_to(root))
        status = path.lstat()
        first = inodes.setdefault(status.st_ino, name)
        if first != name:
            found[name] = f"-> {first}"
            continue
        words = [stat.filemode(status.st_mode), f"{status.st_uid}:{status.st_gid}"]
        if times and name != ".":
            words.append(str(status.st_mtime_ns))
        if stat.S_ISREG(status.st_mode):
            words.append(repr(path.read_bytes()))
        elif stat.S_ISLNK(status.st_mode):
            words.append(str(path.readlink()))
        elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            words.append(f"{os.major(status.st_rdev)},{os.minor(status.st_rdev)}")
        for attribute in sorted(os.listxattr(path, follow_symlinks=False)):
            if not attribute.startswith(skip) or not skip:
                value = os.getxattr(path, attribute, follow_symlinks=False)
                words.append(f"{attribute}={value!r}")
        found[name] = " ".join(words)
    return found
