"""What goes from the shim to the process of a log driver: a header, then output. See `logprocess.py`."""

from __future__ import annotations

import struct

HEADER = struct.Struct(">BQI")  # kind, nanoseconds since the epoch, bytes that follow
STREAMS = ("stdout", "stderr")  # the kind is the stream's number, with any of
GAP = 4  # output was dropped before this
FLUSH = 8  # the stream has ended after this
SYNC = 16  # say what is not written yet
