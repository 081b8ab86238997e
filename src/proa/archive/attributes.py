"""Extended attributes of layers: which ones travel, reading and setting them.

Layers carry them as pax records `SCHILY.xattr.<name>`, as every engine does.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from proa.errors import Unsupported

# Attributes that a layer may neither bring nor take along: overlayfs would take its own as orders about the
# layers below (whiteouts, redirects to any path), and SELinux labels are the host's policy.
_FORBIDDEN = ("trusted.overlay.", "user.overlay.", "security.selinux")
# Written by overlayfs with redirect_dir=on or metacopy=on: content is elsewhere, under another name.
_ELSEWHERE = ("trusted.overlay.redirect", "trusted.overlay.metacopy")


def set_all(target: int | bytes, attributes: Mapping[str, bytes]) -> list[str]:
    """Set attributes on a descriptor or a path (never following a link); return why some were left out.

    Left out are forbidden ones and those that the file system or this kind of file (user.* on links) does
    not take; any other failure is an `OSError`.
    """
    left_out = []
    for name, value in attributes.items():
        if name.startswith(_FORBIDDEN):
            left_out.append(f"{name} is not for layers to set")
            continue
        try:
            if isinstance(target, int):
                os.setxattr(target, name, value)
            else:
                os.setxattr(target, name, value, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM):
                raise
            left_out.append(f"{name}: {os.strerror(error.errno).lower()}")
    return left_out


def get_all(target: int | str | bytes) -> dict[str, bytes]:
    """Return the attributes that travel in layers, sorted by name; {} where the file system has none.

    Raises `Unsupported` for what overlayfs wrote with redirect_dir or metacopy switched on.
    """
    follow = isinstance(target, int)
    try:
        names = os.listxattr(target, follow_symlinks=follow)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    if not names:
        return {}
    found = {}
    for name in sorted(names):
        if name in _ELSEWHERE:
            raise Unsupported(f"layers written with overlayfs's {name.rpartition('.')[2]} are not supported")
        if not name.startswith(_FORBIDDEN):
            try:
                found[name] = os.getxattr(target, name, follow_symlinks=follow)
            except OSError as error:
                if error.errno != errno.ENODATA:  # removed meanwhile
                    raise
    return found


def of_name(directory: int, name: bytes) -> bytes:
    """A path for the attributes of what cannot be opened: there is no setxattrat(2) before Linux 6.13."""
    return b"/proc/self/fd/%d/%s" % (directory, name)
