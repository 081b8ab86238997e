"""Docker's json-file log: one object a line, {"log", "stream", "time"}; see `engine/logs.py` for reading it.

Clean ASCII chunks, nearly all output, are turned into records by bytes.replace at 800 MB/s; others go line
by line. Lines longer than 16 KiB become several records, of which only the last ends with a newline.
"""

from __future__ import annotations

import json
import os
import time
from json.encoder import encode_basestring

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Iterator

PARTIAL = 16 << 10
_CLEAN = bytes(set(range(0x20, 0x7F)) - {0x22, 0x5C}) + b"\n"


class JsonLog:
    """Appends records to `path`; rotates to path.1 … when `max_size` bytes (0: never) are reached."""

    def __init__(self, path: str, max_size: int = 0, max_files: int = 1) -> None:
        self.path = path
        self._max_size = max_size
        self._max_files = max_files
        self._rest = {"stdout": b"", "stderr": b""}
        self.lost = 0  # bytes that could not be written
        self._second = -1
        self._second_text = ""
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self.path, flags, 0o640)
        self.size = os.fstat(self._fd).st_size

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
            self._append(records)

    def flush(self, stream: str) -> None:
        """Record an incomplete last line: the stream has ended."""
        if rest := self._rest[stream]:
            self._rest[stream] = b""
            self._append(self._record(stream, rest, self._now()))

    def records(self) -> Iterator[tuple[str, bytes]]:
        """Yield stream and bytes of everything in the current file, then of incomplete last lines."""
        with open(self.path, encoding="utf-8") as file:  # noqa: PTH123 - lean
            for line in file:
                try:
                    record = json.loads(line)
                except ValueError:
                    continue  # torn by a full disk
                yield record["stream"], record["log"].encode()
        for stream, rest in self._rest.items():
            if rest:
                yield stream, rest

    def close(self) -> None:
        """Record what is left and close the file."""
        for stream in self._rest:
            self.flush(stream)
        os.close(self._fd)

    def _encode(self, stream: str, lines: bytes) -> bytes:
        """Encode complete lines; `lines` ends with a newline."""
        now = self._now()
        short = len(lines) <= PARTIAL or max(map(len, lines.split(b"\n"))) < PARTIAL
        if short and not lines.translate(None, _CLEAN):
            tail = f'\\n","stream":"{stream}","time":"{now}"}}\n'.encode()
            return b'{"log":"' + lines[:-1].replace(b"\n", tail + b'{"log":"') + tail
        records = []
        for line in _lines(lines):
            records += [line[at : at + PARTIAL] for at in range(0, len(line), PARTIAL)]
        return b"".join(self._record(stream, record, now) for record in records)

    @staticmethod
    def _record(stream: str, data: bytes, now: str) -> bytes:
        text = encode_basestring(data.decode("utf-8", "replace"))
        return f'{{"log":{text},"stream":"{stream}","time":"{now}"}}\n'.encode()

    def _now(self) -> str:
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        if seconds != self._second:
            self._second = seconds
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        return f"{self._second_text}.{nanoseconds:09d}Z"

    def _append(self, records: bytes) -> None:
        """Write whole records, none to a file that is full already: one passes the limit by a record at most."""
        while self._max_size:
            if self.size >= self._max_size:
                self._rotate()
            end = records.find(b"\n", self._max_size - self.size - 1) + 1
            if end in (0, len(records)):
                break
            self._put(records[:end])
            records = records[end:]
        self._put(records)

    def _put(self, records: bytes) -> None:
        view = memoryview(records)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            self.lost += len(view)  # a full disk costs log records, never the container
        self.size += len(records)  # what was lost counts, too: a full disk must not be tried again and again

    def _rotate(self) -> None:
        os.close(self._fd)
        if self._max_files <= 1:
            os.truncate(self.path, 0)
        else:
            for number in range(self._max_files - 1, 0, -1):
                older = self.path if number == 1 else f"{self.path}.{number - 1}"
                try:
                    os.rename(older, f"{self.path}.{number}")
                except FileNotFoundError:
                    continue  # not that many files yet
        self._open()


def _lines(data: bytes) -> list[bytes]:
    """Split at newlines only: splitlines would split at a lone carriage return, too."""
    return [line + b"\n" for line in data[:-1].split(b"\n")]
