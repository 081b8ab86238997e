"""Docker's framing of stdout and stderr in one stream, and the content types that tell of it."""

from __future__ import annotations

import struct

from proa.api.versions import Version

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2, "system": 3}

_header = struct.Struct(">BxxxI").pack


def frame(stream: str, data: bytes) -> bytes:
    """Return one frame: stream, three zeros, length in big endian, data."""
    return _header(STREAMS[stream], len(data)) + data


def content_type(*, tty: bool, version: Version) -> str:
    """A terminal's output is never framed; before 1.42 framed streams were called raw too."""
    return RAW if tty or version < (1, 42) else MULTIPLEXED
