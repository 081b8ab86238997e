"""A container's egress rules, as far as they are about names: which may be asked for, and what they open.

The rules are a table in the container's namespace, which the engine has made. Before an answer for an allowed
name goes to the container, its addresses are put into the table's sets for as long as the answer is good. The
table also counts what it refuses; what it has counted is read here when it says so, and told to the engine.
"""

from __future__ import annotations

import os
import socket
import time
from _socket import socket as Socket

from proa.dns.complaints import complain
from proa.dns.message import BLOCKED, NXDOMAIN, SERVFAIL, TYPE_AAAA, Malformed, addresses
from proa.linux.namespaces import CLONE_NEWNET, setns
from proa.linux.nflog import Listener
from proa.linux.nftables import NFPROTO_INET, Nftables, Transaction

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from proa.dns.message import Question
    from proa.linux.loop import Loop

_SHORTEST, _GRACE, _LONGEST = 60, 30, 86400  # seconds that an address is open: TTL and grace, within these
_MOST = 4096  # addresses that are known at once; for more there are no answers
_MOST_NAMES = 128  # refused ones that are counted
_MOST_TOLD = 128  # refusals in one report
_PAUSE = 0.25  # seconds between reports
_AGAIN = 1.0  # until counters that have changed are read again: their table says so a few times a second only
_MILLION = 1_000_000  # nanoseconds of a millisecond
_FIELDS = ("protocol", "address", "port", "name", "count", "time")  # of a refusal; the time is as of the epoch
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 58: "icmpv6", 132: "sctp", 136: "udplite"}
_INET, _INET6, _DATAGRAM = int(socket.AF_INET), int(socket.AF_INET6), int(socket.SOCK_DGRAM)
_REASON = "not allowed by the egress rules of this container"

# Where no name leads that others answer for: a server outside could point it at what is not its own. The last ones
# are where clouds give machines their credentials, as far as that is not link-local.
_CLOSED = (
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3",
    "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32",
    "::/127", "::ffff:0:0/96", "fe80::/10", "ff00::/8", "fd00:ec2::254/128", "fd20:ce::254/128",
)  # fmt: skip


class Gate:
    """The gate of one container. `report` is given what was refused; False if it could not be told now."""

    def __init__(self, loop: Loop, home: int, namespace: int, report: Callable[[dict[str, Any]], bool]) -> None:
        """`home` and `namespace` are descriptors of network namespaces; raises `OSError`."""
        self._loop, self._home, self._report = loop, home, report
        self._run = os.fstat(namespace).st_ino
        self._names: dict[bytes, list[str]] = {}
        self._own: list[tuple[int, int, int]] = []
        self._table, self._remembered = "", 0
        self._refused: dict[int, str] = {}
        self._closed = [_subnet(text) for text in _CLOSED]
        self._open: dict[bytes, tuple[bytes, float]] = {}  # address: its name, and until when
        self._refused_names: dict[bytes, list[int]] = {}  # count and time
        self._listener: Listener | None = None
        self._group = 0
        self._closing = False
        self._read_at = self._next_at = 0.0
        self._told: dict[tuple[Any, ...], int] | None = None
        setns(namespace, CLONE_NEWNET)
        try:
            self._nftables = Nftables()
        finally:
            setns(home, CLONE_NEWNET)
        self._namespace = os.dup(namespace)

    def update(self, description: dict[str, Any]) -> None:
        """Know the rules: "table", its "refused" sets by the length of their addresses with the seconds that they
        remember, and its "group" of NFLOG; "names" with the sets that each fills, the container's "own" subnets.
        """
        self._table, self._remembered = description["table"], description["remembered"]
        self._refused = {int(size): name for size, name in description["refused"].items()}
        before, self._names = self._names, {name.encode(): sets for name, sets in description["names"].items()}
        self._own = [_subnet(text) for text in description["own"]]
        self._group = description["group"]
        if self._listener is None:
            self._listen()
        if before != self._names:
            self._settle(before)
        self._told = None
        self._woken()

    def _listen(self) -> None:
        """Hear of what is refused; where another process does so still, which is about to end, later."""
        if self._closing or self._listener:
            return
        setns(self._namespace, CLONE_NEWNET)
        try:
            self._listener = Listener(self._group)
        except OSError as error:
            complain("egress rules", error)
            self._loop.later(_AGAIN, self._listen)
            return
        finally:
            setns(self._home, CLONE_NEWNET)
        self._loop.on_read(self._listener.fileno(), self._woken)
        self._woken()

    def close(self) -> None:
        """Tell the last of it, and let go of the namespace."""
        self._tell(final=True)
        self._closing = True
        if self._listener:
            self._loop.forget(self._listener.fileno())
            self._listener.close()
        self._nftables.close()
        os.close(self._namespace)

    # --- names ------------------------------------------------------------------------------------------

    def permits(self, name: bytes | None) -> bool:
        """Whether a name may be asked for outside."""
        return bool(name and self._sets(name))

    def _sets(self, name: bytes) -> Sequence[str]:
        return _sets(self._names, name)

    def refuse(self, question: Question) -> bytes:
        """Count a name that may not be asked for; return the answer.

        It is that there is no such name: resolvers take that at once, while a refusal makes musl wait for its
        timeout, and glibc ask again and forget about search domains.
        """
        name = question.name or b"?"
        if name not in self._refused_names and len(self._refused_names) >= _MOST_NAMES:
            self._refused_names.pop(min(self._refused_names, key=lambda each: self._refused_names[each][1]))
        known = self._refused_names.setdefault(name, [0, 0])
        known[0] += 1
        known[1] = time.time_ns()
        self._woken()
        return question.answer(code=NXDOMAIN, error=BLOCKED, reason=_REASON)

    def open(self, question: Question, records: Sequence[bytes]) -> None:
        """Open what a container's name stands for: the addresses at the end of our own `records`."""
        size = 16 if question.kind == TYPE_AAAA else 4
        name = question.name or b""
        if name and records and (sets := self._sets(name)):
            found = [(record[-size:], int.from_bytes(record[-size - 6 : -size - 2], "big")) for record in records]
            self._put(name, sets, found)

    def passed(self, question: Question, answer: bytes) -> bytes:
        """Open what another server has answered with; return the answer, or one that says that it is of no use."""
        name = question.name or b""
        sets = self._sets(name)
        try:
            found = addresses(answer) if sets else []
        except Malformed:
            return question.answer(code=SERVFAIL)
        usable = [each for each in found if self._is_usable(each[0])]
        if usable and not self._put(name, sets, usable):
            return question.answer(code=SERVFAIL)
        return answer

    def _is_usable(self, packed: bytes) -> bool:
        """Whether an address may be behind a name of others: not this host, a neighbour, or nobody's."""
        number, size = int.from_bytes(packed, "big"), len(packed)
        for start, bits, length in (*self._closed, *self._own):
            if size == length and not (number ^ start) >> (8 * size - bits):
                return False
        return not _is_local(packed)

    def _put(self, name: bytes, sets: Iterable[str], found: Sequence[tuple[bytes, int]]) -> bool:
        """Put addresses into sets for their time; False if that failed, or if there are too many."""
        now = time.monotonic()
        wanted: dict[bytes, int] = {}
        for packed, ttl in found:
            wanted[packed] = max(wanted.get(packed, 0), min(_LONGEST, max(_SHORTEST, ttl + _GRACE)))
        if len(self._open.keys() | wanted) > _MOST:
            self._open = {packed: each for packed, each in self._open.items() if each[1] > now}
        if len(self._open.keys() | wanted) > _MOST:
            return False
        if not self._commit((each, name, wanted) for each in dict.fromkeys(sets)):
            return False
        for packed, seconds in wanted.items():
            self._open[packed] = name, now + seconds
        return True

    def _commit(self, wanted: Iterable[tuple[str, bytes, dict[bytes, int]]]) -> bool:
        """Put addresses of names into sets for some seconds, or with 0 seconds take them out; say if it was done.

        Whose they are stands with them, for changes of the rules.
        """
        transaction = Transaction()
        for stem, name, entries in wanted:
            for size, version in ((4, "4"), (16, "6")):
                if part := {packed: seconds for packed, seconds in entries.items() if len(packed) == size}:
                    comment = name.decode("ascii", "replace")
                    transaction.timed_elements(self._table, stem + version, part, comment)
                    if gone := [packed for packed, seconds in part.items() if not seconds]:
                        transaction.delete_elements(self._table, stem + version, gone)
        if not transaction.messages:
            return True
        try:
            self._nftables.commit(transaction)
        except OSError as error:  # a set is full, or the rules are just being changed
            complain("egress rules", error)
            return False
        return True

    def _settle(self, before: dict[bytes, list[str]]) -> None:
        """Put right what answers have opened while the rules changed, which were others `before`."""
        now = time.monotonic()
        there = {stem for stems in self._names.values() for stem in stems}
        wanted: list[tuple[str, bytes, dict[bytes, int]]] = []
        for packed, (name, until) in list(self._open.items()):
            if until <= now:
                continue
            if sets := self._sets(name):
                wanted += ((each, name, {packed: max(1, int(until - now))}) for each in dict.fromkeys(sets))
            else:
                del self._open[packed]
                wanted += ((each, name, {packed: 0}) for each in there.intersection(_sets(before, name)))
        self._commit(wanted)

    # --- what was refused -------------------------------------------------------------------------------

    def _woken(self) -> None:
        if self._listener:
            self._listener.drain()
        pause = self._read_at + _PAUSE - time.monotonic()
        if pause > 0:
            self._wait(pause)
        else:
            self._tell()

    def _wait(self, seconds: float) -> None:
        """Read the counters in a while; what is to be done sooner already does."""
        now = time.monotonic()
        if not now <= self._next_at <= now + seconds:
            self._next_at = now + seconds
            self._loop.later(seconds, self._waited)

    def _waited(self) -> None:
        if not self._closing and time.monotonic() >= self._read_at + _PAUSE / 2:
            self._tell()

    def _tell(self, *, final: bool = False) -> None:
        """Report what has been refused so far, if that is news; look again for as long as it is."""
        self._read_at = time.monotonic()
        try:
            found = self._refusals()
        except OSError as error:
            complain("what egress rules have refused", error)
            return
        counts = {each[:4]: each[4] for each in found}
        if counts == self._told and not final:
            return
        found.sort(key=lambda each: -each[5])
        told = [dict(zip(_FIELDS, each, strict=True)) for each in found[:_MOST_TOLD]]
        if self._report({"run": self._run, "refused": told, "final": final}):
            self._told = counts
        if not final:
            self._wait(_AGAIN)

    def _refusals(self) -> list[tuple[str, str, int, str, int, int]]:
        """Return what was refused, as `_FIELDS` name it."""
        now = time.time_ns()
        found = [
            ("dns", "", 53, name.decode(errors="replace"), count, moment)
            for name, (count, moment) in self._refused_names.items()
        ]
        for size, name in self._refused.items():
            family = socket.AF_INET if size == 4 else socket.AF_INET6
            for element in self._nftables.listed(NFPROTO_INET, self._table, name):
                packed, number = element.key[:size], element.key[size]
                known = self._open.get(packed)
                found.append((
                    _PROTOCOLS.get(number, str(number)),
                    socket.inet_ntop(family, packed),
                    int.from_bytes(element.key[size + 4 : size + 6], "big"),
                    known[0].decode(errors="replace") if known else "",
                    element.packets,
                    # The kernel says how long it will be remembered, the longer the later it was.
                    now - max(0, 1000 * self._remembered - element.expires) * _MILLION,
                ))  # fmt: skip
        return found


def _sets(names: dict[bytes, list[str]], name: bytes) -> list[str]:
    """Return the sets that an allowed name fills: those of its own rules and of patterns that it fits."""
    found = [*names.get(name, ()), *names.get(b"*", ())]
    dot = -1
    while (dot := name.find(b".", dot + 1)) >= 0:
        found += names.get(b"*" + name[dot:], ())
    return found


def _subnet(text: str) -> tuple[int, int, int]:
    """Return the first address of a subnet as a number, the bits of its prefix, the length of its addresses."""
    address, _, bits = text.partition("/")
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    return int.from_bytes(packed, "big"), int(bits), len(packed)


def _is_local(packed: bytes) -> bool:
    """Whether an address is this host's: the way to one begins there. Nothing is sent for that."""
    family = _INET if len(packed) == 4 else _INET6
    address = socket.inet_ntop(family, packed)
    made = Socket(family, _DATAGRAM)
    try:
        made.connect((address, 9))
        return bool(made.getsockname()[0] == address)
    except OSError:
        return False  # no way there at all
    finally:
        made.close()
