"""A response's body into a file that appears when it is complete, or to standard output."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

from proa.cli.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.client.http import Response


# What a path can be that no file may take the place of.
_KINDS = {
    stat.S_IFDIR: "a directory", stat.S_IFCHR: "a character device file", stat.S_IFBLK: "a block device file",
    stat.S_IFIFO: "a named pipe (FIFO)", stat.S_IFSOCK: "a socket", stat.S_IFLNK: "a symbolic link directly",
}  # fmt: skip


def check_path(path: str, what: str) -> None:
    """Raise `Failure`, beginning with `what`, for a place where no file can be written."""
    folder = os.path.dirname(os.path.normpath(path))
    if folder and not os.path.exists(folder):
        raise Failure(f"{what}: invalid output path: stat {folder}: no such file or directory")
    if os.path.lexists(path) and (kind := _KINDS.get(stat.S_IFMT(os.lstat(path).st_mode))):
        raise Failure(f"{what}: cannot write to {kind}")


def written(response: Response, path: str) -> None:
    """Write a body to `path`, "" for standard output; a file that could not be completed is not left.

    What is at `path` is replaced, be it a device of the machine: `check_path` first.
    """
    if not path:
        sys.stdout.flush()
        for piece in response.chunks():
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    target = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in response.chunks():
                file.write(piece)
        Path(temporary).chmod(0o600 if not target.exists() else target.stat().st_mode & 0o777)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
