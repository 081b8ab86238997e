"""Docker's json-file log: one object a line, {"log", "stream", "time"}; see `engine/logs` for reading it.

Clean ASCII chunks, nearly all output, are turned into records by bytes.replace at 800 MB/s; others go line
by line. Lines longer than 16 KiB become several records, of which only the last ends with a newline.
"""

from __future__ import annotations

import time
from json.encoder import encode_basestring

from proa.shim.rotation import RotatedFile

PARTIAL = 16 << 10
_CLEAN = bytes(set(range(0x20, 0x7F)) - {0x22, 0x5C}) + b"\n"


class JsonLog:
    """Appends records to the rotated file at `path`; `attributes` is JSON that each of them gets, or nothing."""

    full = False  # the container never waits for more than the write itself

    def __init__(
        self, path: str, max_size: int = 0, max_files: int = 1, compress: bool = False, attributes: str = ""
    ) -> None:
        self.path = path
        self.file = RotatedFile(path, max_size, max_files, compress)
        self.clock = time.time_ns
        self._rest = {"stdout": b"", "stderr": b""}
        attributes = f',"attrs":{attributes}' if attributes else ""
        self._middle = {stream: f'"stream":"{stream}"{attributes},"time":"' for stream in self._rest}
        self._second = -1
        self._second_text = ""

    @property
    def lost(self) -> int:
        """Bytes that could not be written."""
        return self.file.lost

    def write(self, stream: str, data: bytes) -> None:
        """Record a chunk of output; an incomplete last line waits for its rest."""
        data = self._rest[stream] + data
        complete, newline, rest = data.rpartition(b"\n")
        records = self._encode(stream, complete + newline) if newline else b""
        while len(rest) >= PARTIAL:
            records += self._record(stream, rest[:PARTIAL], self._now())
            rest = rest[PARTIAL:]
        self._rest[stream] = rest
        if records:
            self.file.append(records)

    def flush(self, stream: str) -> None:
        """Record an incomplete last line: the stream has ended."""
        if rest := self._rest[stream]:
            self._rest[stream] = b""
            self.file.append(self._record(stream, rest, self._now()))

    def incomplete(self) -> dict[str, bytes]:
        """Return what of each stream is not in the file yet: the beginning of a line."""
        return self._rest

    def reaped(self, pid: int, status: int) -> None:
        """Take note of a child process's end."""
        self.file.reaped(pid, status)

    def close(self) -> None:
        """Record what is left and close the file."""
        for stream in self._rest:
            self.flush(stream)
        self.file.close()

    def _encode(self, stream: str, lines: bytes) -> bytes:
        """Encode complete lines; `lines` ends with a newline."""
        now = self._now()
        short = len(lines) <= PARTIAL or max(map(len, lines.split(b"\n"))) < PARTIAL
        if short and not lines.translate(None, _CLEAN):
            tail = f'\\n",{self._middle[stream]}{now}"}}\n'.encode()
            return b'{"log":"' + lines[:-1].replace(b"\n", tail + b'{"log":"') + tail
        records = []
        for line in _lines(lines):
            records += [line[at : at + PARTIAL] for at in range(0, len(line), PARTIAL)]
        return b"".join(self._record(stream, record, now) for record in records)

    def _record(self, stream: str, data: bytes, now: str) -> bytes:
        text = encode_basestring(data.decode("utf-8", "replace"))
        return f'{{"log":{text},{self._middle[stream]}{now}"}}\n'.encode()

    def _now(self) -> str:
        seconds, nanoseconds = divmod(self.clock(), 1_000_000_000)
        if seconds != self._second:
            self._second = seconds
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        return f"{self._second_text}.{nanoseconds:09d}Z"


def _lines(data: bytes) -> list[bytes]:
    """Split at newlines only: splitlines would split at a lone carriage return, too."""
    return [line + b"\n" for line in data[:-1].split(b"\n")]
