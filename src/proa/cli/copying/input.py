"""A file or standard input as the body of a request."""

from __future__ import annotations

import os

from proa.cli.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = 1 << 20


def opened(path: str) -> int:
    """Open a file for reading; "-" is standard input."""
    if path == "-":
        return 0
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Failure(f"open {path}: {os.strerror(error.errno or 0).lower()}") from None


def pieces(fd: int, path: str = "") -> Iterator[bytes]:
    """Yield what `fd` has, and close it unless it is standard input."""
    try:
        while piece := os.read(fd, _PIECE):
            yield piece
    except OSError as error:
        raise Failure(f"read {path or '-'}: {os.strerror(error.errno or 0).lower()}") from None
    finally:
        if fd:
            os.close(fd)
