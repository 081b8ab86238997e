"""Netlink (netlink(7)): framing, transactions, dumps. Its users are rtnetlink.py and nftables.py.

Containers' first processes import this module: standard library only, and little of that.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# <linux/netlink.h>
NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR = 0x1, 0x4, 0x10
NLM_F_DUMP = 0x300
NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x200, 0x400, 0x800
NLM_F_REPLACE = 0x100
_NLM_F_ACK_TLVS, _NLM_F_CAPPED = 0x200, 0x100
_NLMSGERR_ATTR_MSG = 1
_SOL_NETLINK, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 270, 10, 11
_NLA_F_NESTED = 0x8000
_NLA_TYPE_MASK = 0x3FFF

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr: length, type
_ERROR_CODE = struct.Struct("=i")
_RECEIVE = 1 << 17  # larger than any datagram of a dump (the kernel caps those at 32 KiB)
_DUMP_ATTEMPTS = 10


class Message:
    """One request: `kind` is the message type, `operation` names it in errors ("add link veth1")."""

    __slots__ = ("flags", "kind", "operation", "payload")

    def __init__(self, kind: int, payload: bytes, operation: str, flags: int = 0) -> None:
        self.kind = kind
        self.payload = payload
        self.operation = operation
        self.flags = flags

    def encode(self, sequence: int, flags: int = 0) -> bytes:
        """Return the message as it goes over the socket, padded to 4 bytes."""
        header = _HEADER.pack(
            _HEADER.size + len(self.payload), self.kind, self.flags | flags | NLM_F_REQUEST, sequence, 0
        )
        return header + self.payload + bytes(-len(self.payload) & 3)


class Socket:
    """A netlink socket. It belongs to the network namespace in which it was opened, for all its life.

    One thread at a time may use it.
    """

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._sequence = 0
        # Errors come with the kernel's explanation and without an echo of the request.
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def number(self, messages: Sequence[Message]) -> int:
        """Reserve sequence numbers for `messages`; return the first."""
        first = self._sequence + 1
        self._sequence += len(messages)
        return first

    def send(self, data: bytes) -> None:
        """Send a datagram; enlarges the send buffer where the kernel's limit is too small for it."""
        if len(data) > 1 << 16:
            so_sndbufforce = 32  # <asm-generic/socket.h>; needs CAP_NET_ADMIN
            self._socket.setsockopt(socket.SOL_SOCKET, so_sndbufforce, 2 * len(data))
        self._socket.sendto(data, (0, 0))

    def receive(self, flags: int = 0) -> list[tuple[int, int, int, bytes]]:
        """Return the messages of the next datagram: (kind, flags, sequence, payload)."""
        data = self._socket.recv(_RECEIVE, flags)
        messages = []
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, flags, sequence, _port = _HEADER.unpack_from(data, offset)
            messages.append((kind, flags, sequence, data[offset + _HEADER.size : offset + length]))
            offset += (length + 3) & ~3
        return messages

    def execute(self, *messages: Message) -> None:
        """Have the kernel do `messages` in order, with one system call, and wait for the end.

        rtnetlink does every message, whatever became of those before. The first failure is raised as
        `OSError` whose `filename` is the operation.
        """
        first = self.number(messages)
        last = first + len(messages) - 1
        self.send(
            b"".join(
                message.encode(first + index, NLM_F_ACK if first + index == last else 0)
                for index, message in enumerate(messages)
            )
        )
        failure: OSError | None = None
        while True:
            for kind, flags, sequence, payload in self.receive():
                if kind != NLMSG_ERROR or not first <= sequence <= last:
                    continue
                error = error_of(flags, payload, messages[sequence - first].operation)
                failure = failure or error
                if sequence == last:
                    if failure is not None:
                        raise failure
                    return

    def request(self, message: Message) -> list[tuple[int, bytes]]:
        """Send one query (a dump has `NLM_F_DUMP` in its flags) and return its answers: (kind, payload)."""
        for _attempt in range(_DUMP_ATTEMPTS):
            answers, interrupted = self._request(message)
            if not interrupted:
                return answers
        raise OSError(errno.EAGAIN, "it changes faster than it can be read", message.operation)

    def _request(self, message: Message) -> tuple[list[tuple[int, bytes]], bool]:
        dump = message.flags & NLM_F_DUMP == NLM_F_DUMP
        sequence = self.number([message])
        self.send(message.encode(sequence, 0 if dump else NLM_F_ACK))
        answers: list[tuple[int, bytes]] = []
        interrupted = False
        while True:
            for kind, flags, number, payload in self.receive():
                if number != sequence:
                    continue
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    error = error_of(flags, payload, message.operation)
                    if error is not None:
                        raise error
                    return answers, interrupted
                # A change during a dump makes it inconsistent: it is to be asked for again.
                interrupted = interrupted or bool(flags & NLM_F_DUMP_INTR)
                answers.append((kind, payload))


def error_of(flags: int, payload: bytes, operation: str) -> OSError | None:
    """Return what a NLMSG_ERROR (or the end of a dump) reports, None for success."""
    number = -_ERROR_CODE.unpack_from(payload)[0]
    if not number:
        return None
    text = os.strerror(number)
    if flags & _NLM_F_ACK_TLVS and flags & _NLM_F_CAPPED:
        explanation = attributes(payload, _ERROR_CODE.size + _HEADER.size).get(_NLMSGERR_ATTR_MSG, b"")
        if explanation:
            text += f" ({explanation.rstrip(bytes(1)).decode(errors='replace')})"
    return OSError(number, text, operation)


def attribute(kind: int, data: bytes) -> bytes:
    """Encode one attribute."""
    length = _ATTRIBUTE.size + len(data)
    return _ATTRIBUTE.pack(length, kind) + data + bytes(-length & 3)


def nested(kind: int, *members: bytes) -> bytes:
    """Encode an attribute made of attributes; its length is limited to 65535 bytes (`struct.error`)."""
    return attribute(kind | _NLA_F_NESTED, b"".join(members))


def text(kind: int, value: str) -> bytes:
    """Encode a NUL-terminated string."""
    return attribute(kind, os.fsencode(value) + bytes(1))


def u32(kind: int, value: int) -> bytes:
    """Encode a number in the machine's byte order, as rtnetlink has them."""
    return attribute(kind, value.to_bytes(4, sys.byteorder))


def members(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield the attributes in `data` from `offset` on: (kind, value)."""
    end = len(data)
    while offset + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _NLA_TYPE_MASK, data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """Decode attributes by kind."""
    return dict(members(data, offset))


def decode_text(value: bytes) -> str:
    """Decode a NUL-terminated string."""
    return os.fsdecode(value.rstrip(b"\0"))
