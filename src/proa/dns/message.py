"""Messages of the DNS (RFC 1035), as far as this server reads and writes them: a question, and its own answers.

Everything that comes in is hostile. What is passed on to other servers and back is never parsed further than
its question: it is relayed as bytes.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Sequence

TYPE_A, TYPE_PTR, TYPE_MX, TYPE_AAAA = 1, 12, 15, 28
CLASS_IN = 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16
BLOCKED = 15  # of Extended DNS Errors (RFC 8914, 4.16)
TTL = 600  # seconds, Docker's
LARGEST = 65535  # bytes of a message
_SMALLEST = 512  # bytes that every client takes over UDP (RFC 1035, 4.2.1)
_LONGEST_NAME, _LONGEST_LABEL = 255, 63  # bytes (RFC 1035, 2.3.4)

_RESPONSE, _OPCODE, _TRUNCATED, _DESIRED, _AVAILABLE, _CHECKING_DISABLED = 0x8000, 0x7800, 0x200, 0x100, 0x80, 0x10
_HEADER = struct.Struct(">6H")  # id, flags, and how many questions, answers, authorities, additional records
_RECORD = struct.Struct(">HHIH")  # type, class, TTL, length
_FIXED = struct.Struct(">2sHHIH")  # a record whose name is that of the question: type, class, TTL, length
_THE_QUESTIONS_NAME = b"\xc0\x0c"  # a pointer to byte 12 (RFC 1035, 4.1.4)
_OPT = b"\0\0\x29"  # the name and the type of EDNS's record (RFC 6891)
_OPT_SIZE = 11
_OPTION_ERROR = 15  # EDNS's option for Extended DNS Errors
_POINTER = 0xC0
_OUR_LIMIT = struct.pack(">H", 4096)  # bytes that we take over UDP, in truth all
_DNSSEC_OK = 0x80
_PAIR = struct.Struct(">HH")


class Malformed(Exception):
    """A message that is no question we understand; `answer` says so to its sender, b"" where silence is due."""

    def __init__(self, answer: bytes) -> None:
        super().__init__("not a DNS question")
        self.answer = answer


class Question:
    """What a client asks. `name` is in lower case with dots between its labels; None if it has other dots."""

    __slots__ = ("data", "edns", "end", "flags", "kind", "limit", "name", "scope")

    def __init__(self, data: bytes) -> None:
        """Read a message; raises `Malformed`."""
        if len(data) < _HEADER.size:
            raise Malformed(b"")
        _identifier, flags, questions, answers, authorities, additional = _HEADER.unpack_from(data)
        if flags & _RESPONSE:
            raise Malformed(b"")  # answering answers is how two servers keep each other busy for ever
        self.data, self.flags = data, flags
        self.end, self.edns, self.limit = _HEADER.size, b"", _SMALLEST
        if flags & _OPCODE:
            raise Malformed(self._failure(NOTIMP))
        if questions != 1:
            raise Malformed(self._failure(FORMERR))
        self.name, end = _read_name(data, _HEADER.size)
        if end < 0 or end + 4 > len(data):
            raise Malformed(self._failure(FORMERR))
        self.kind, self.scope = _PAIR.unpack_from(data, end)
        self.end = end + 4
        if additional and not answers and not authorities:
            self._read_edns()

    def _read_edns(self) -> None:
        edns = self.data[self.end : self.end + _OPT_SIZE]
        if len(edns) == _OPT_SIZE and edns.startswith(_OPT):
            self.edns = edns
            self.limit = max(_SMALLEST, int.from_bytes(edns[3:5], "big"))

    @property
    def identifier(self) -> bytes:
        return self.data[:2]

    @property
    def text(self) -> bytes:
        """The question itself, as it was asked."""
        return self.data[_HEADER.size : self.end]

    def answer(
        self,
        records: Sequence[bytes] = (),
        code: int = NOERROR,
        limit: int = 0,
        *,
        error: int = 0,
        reason: str = "",
    ) -> bytes:
        """Return the answer with our records, as many as there is room for in `limit` or what the client takes.

        Clients with EDNS are told an extended `error` with its `reason`, if it is not 0.
        """
        if self.edns and self.edns[6] and code == NOERROR:  # a version of EDNS that is still to come
            code, records = BADVERS, ()
        room = (limit or self.limit) - self.end - len(self.edns)
        size = sum(map(len, records))
        flags = 0
        while size > room:
            *records, last = records
            size -= len(last)
            flags = _TRUNCATED
        edns = self._our_edns(code, error, reason)
        return b"".join((self._header(code, flags, len(records)), self.text, *records, edns))

    def _failure(self, code: int) -> bytes:
        """Return the answer to a question that was not understood: nothing of it is repeated."""
        return _HEADER.pack(
            int.from_bytes(self.data[:2], "big"),
            _RESPONSE | self.flags & (_OPCODE | _DESIRED) | code,
            *(0, 0, 0, 0),
        )

    def _header(self, code: int, flags: int, answers: int) -> bytes:
        flags |= _RESPONSE | self.flags & (_DESIRED | _CHECKING_DISABLED) | _AVAILABLE | code & 15
        return self.data[:2] + struct.pack(">5H", flags, 1, answers, 0, 1 if self.edns else 0)

    def _our_edns(self, code: int, error: int, reason: str) -> bytes:
        if not self.edns:
            return b""
        option = b""
        if error:
            content = error.to_bytes(2, "big") + reason.encode()
            option = _PAIR.pack(_OPTION_ERROR, len(content)) + content
        head = _OPT + _OUR_LIMIT + bytes((code >> 4, 0, self.edns[7] & _DNSSEC_OK, 0))
        return head + len(option).to_bytes(2, "big") + option


def _read_name(data: bytes, start: int) -> tuple[bytes | None, int]:
    """Return the name at `start` and where it ends, -1 if it is none. Pointers are none: nothing is before."""
    labels: list[bytes] = []
    position, size, plain = start, len(data), True
    while position < size:
        length = data[position]
        position += 1
        if not length:
            if position - start > _LONGEST_NAME:
                break
            return (b".".join(labels).lower() if plain else None), position
        if length > _LONGEST_LABEL:
            break
        label = data[position : position + length]
        labels.append(label)
        plain = plain and b"." not in label
        position += length
    return None, -1


def write_name(name: bytes) -> bytes | None:
    """Return a name with dots as it is in messages; None for one that can not be."""
    labels = name.split(b".")
    if not all(0 < len(label) <= _LONGEST_LABEL for label in labels) or len(name) > _LONGEST_NAME - 2:
        return None
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def address_record(packed: bytes) -> bytes:
    """Return the record that tells an address, 4 or 16 bytes, of the name that was asked for."""
    return record(TYPE_A if len(packed) == 4 else TYPE_AAAA, packed)


def record(kind: int, content: bytes) -> bytes:
    """Return a record about the name that was asked for."""
    return _FIXED.pack(_THE_QUESTIONS_NAME, kind, CLASS_IN, TTL, len(content)) + content


def reverse_address(name: bytes) -> bytes | None:
    """Return the address, packed, that "4.3.2.1.in-addr.arpa" asks for the name of; None if it is none."""
    for domain, read in ((b".in-addr.arpa", _reverse_ipv4), (b".ip6.arpa", _reverse_ipv6)):
        if name.endswith(domain):
            try:
                return read(name[: -len(domain)].split(b"."))
            except ValueError:
                return None
    return None


def _reverse_ipv4(labels: list[bytes]) -> bytes | None:
    if len(labels) != 4 or not all(label.isdigit() for label in labels):
        return None
    return bytes(int(label) for label in reversed(labels))


def _reverse_ipv6(labels: list[bytes]) -> bytes | None:
    if len(labels) != 32 or any(len(label) != 1 for label in labels):
        return None
    return bytes.fromhex(b"".join(reversed(labels)).decode("ascii", "replace"))


class Reply:
    """What another server sent: whether it may be the answer to a question, and which kind."""

    __slots__ = ("code", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.code = data[3] & 15 if len(data) >= _HEADER.size else -1

    def fits(self, identifier: bytes, question: Question) -> bool:
        """Whether it repeats number and question. An error may be a bare header, as of servers without EDNS."""
        data = self.data
        if len(data) < _HEADER.size or data[:2] != identifier or not data[2] & 0x80 or data[2] & 0x78:
            return False
        if data[4:6] == b"\0\0":
            return self.code in (FORMERR, SERVFAIL, NOTIMP, REFUSED) and not any(data[6:12])
        asked = question.text
        said = data[_HEADER.size : _HEADER.size + len(asked)]
        return data[4:6] == b"\0\1" and said[-4:] == asked[-4:] and said[:-4].lower() == asked[:-4].lower()


def addresses(data: bytes) -> list[tuple[bytes, int]]:
    """Return the addresses, packed, that a reply answers with, each with its TTL in seconds, whatever their names.

    Raises `Malformed`, whose `answer` says nothing, where the message does not hold what it promises.
    """
    _identifier, _flags, questions, answers, _authorities, _additional = _HEADER.unpack_from(data)
    found = []
    position = _HEADER.size
    try:
        for _ in range(questions):
            position = _skip_name(data, position) + _PAIR.size
        for _ in range(answers):
            position = _skip_name(data, position)
            kind, scope, ttl, length = _RECORD.unpack_from(data, position)
            position += _RECORD.size
            content = data[position : position + length]
            position += length
            if len(content) < length:
                raise IndexError
            if scope == CLASS_IN and length == {TYPE_A: 4, TYPE_AAAA: 16}.get(kind):
                found.append((content, ttl if ttl < 1 << 31 else 0))  # RFC 2181, 8
    except (struct.error, IndexError):
        raise Malformed(b"") from None
    return found


def _skip_name(data: bytes, position: int) -> int:
    """Return where a name ends, which is read no further than to its first pointer; raises `IndexError`."""
    while length := data[position]:
        if length >= _POINTER:
            return position + 2
        position += 1 + length
    return position + 1
