"""nf_tables through nfnetlink: transactions of tables, chains, rules, sets, elements, without libnftables.

A `Transaction` collects requests and applies all of them or none. Expressions of rules: nft_expressions.py.
Constants from <linux/netfilter/nf_tables.h>; numbers in attributes are big-endian.
"""

from __future__ import annotations

import errno
import socket
import struct

from proa.linux.netlink import (
    NETLINK_NETFILTER,
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLMSG_ERROR,
    Message,
    Socket,
    attribute,
    attributes,
    decode_text,
    error_of,
    members,
    nested,
    text,
)
from proa.linux.nft_expressions import counter

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NFPROTO_UNSPEC, NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6 = 0, 1, 2, 10
NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING = range(5)
NF_DROP, NF_ACCEPT = 0, 1
PRIORITY_DSTNAT, PRIORITY_FILTER, PRIORITY_SRCNAT = -100, 0, 100
PRIORITY_RAW, PRIORITY_LAST = -300, 300  # before connection tracking; behind all that is for packets' contents

_NFNL_SUBSYS_NFTABLES = 10
_NFNL_MSG_BATCH_BEGIN, _NFNL_MSG_BATCH_END = 16, 17
_NEWTABLE, _GETTABLE, _DELTABLE, _NEWCHAIN, _GETCHAIN, _DELCHAIN, _NEWRULE, _GETRULE, _DELRULE, _NEWSET = (
    _NFNL_SUBSYS_NFTABLES << 8 | number for number in range(10)
)
_GETSET, _DELSET, _NEWSETELEM, _GETSETELEM, _DELSETELEM = (
    _NFNL_SUBSYS_NFTABLES << 8 | number for number in range(10, 15)
)

_TABLE_NAME = 1
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_TYPE = 1, 3, 4, 5, 7
_HOOK_NUMBER, _HOOK_PRIORITY = 1, 2
_RULE_TABLE, _RULE_CHAIN, _RULE_HANDLE, _RULE_EXPRESSIONS, _RULE_USERDATA = 1, 2, 3, 4, 7
_SET_TABLE, _SET_NAME, _SET_FLAGS, _SET_KEY_TYPE, _SET_KEY_LEN, _SET_DATA_TYPE, _SET_DATA_LEN = range(1, 8)
_SET_DESCRIPTION, _SET_ID, _SET_TIMEOUT, _SET_USERDATA, _SET_EXPRESSION = 9, 10, 11, 13, 17
_SET_DESCRIPTION_SIZE = 1
_SET_IS_MAP, _SET_HAS_TIMEOUT, _SET_IS_DYNAMIC = 0x8, 0x10, 0x20
_USERDATA_NATIVE_KEY = struct.pack("=BBI", 0, 4, 1)  # libnftnl's udata.h: NFTNL_UDATA_SET_KEYBYTEORDER, host's
_ELEMENTS_TABLE, _ELEMENTS_SET, _ELEMENTS = 1, 2, 3
_ELEMENT_KEY, _ELEMENT_DATA, _ELEMENT_TIMEOUT, _ELEMENT_EXPIRATION = 1, 2, 4, 5
_ELEMENT_USERDATA, _ELEMENT_EXPRESSION = 6, 7
_COMMENT, _LONGEST_COMMENT = 0, 253  # libnftnl's udata.h, as nft(8) writes and prints them; bytes
_EXPRESSION_DATA = 2
_COUNTER_PACKETS = 2
_LIST_ELEM, _DATA_VALUE = 1, 1
# An attribute's length has 16 bits: more elements go into several messages of the same transaction.
_ELEMENTS_PER_MESSAGE = 500

_GENERIC = struct.Struct(">BBH")  # struct nfgenmsg: family, version, resource


class Type:
    """The type of a set's keys or values: its length and the number under which nft(8) prints it."""

    __slots__ = ("length", "native", "number")
    _BITS = 6  # of one part's number in a concatenation's

    def __init__(self, number: int, length: int, *, native: bool = False) -> None:
        self.number = number
        self.length = length
        self.native = native  # in the machine's byte order, which nft(8) must be told to print it

    def __add__(self, other: Type) -> Type:
        """Concatenate; every part but the last must fill whole 4-byte registers, or be padded by `pad`."""
        return Type(self.number << self._BITS | other.number, -(-self.length // 4) * 4 + -(-other.length // 4) * 4)


IPV4_ADDR, IPV6_ADDR = Type(7, 4), Type(8, 16)
INET_PROTO, INET_SERVICE, ICMPV6_TYPE = Type(12, 1), Type(13, 2), Type(29, 1)
MARK, IFNAME = Type(19, 4, native=True), Type(41, 16, native=True)


def pad(*parts: bytes) -> bytes:
    """Join the parts of a concatenated key or value, each padded to whole registers."""
    return b"".join(part + bytes(-len(part) & 3) for part in parts)


def interface(name: str) -> bytes:
    """Return an interface name as a key."""
    return name.encode().ljust(IFNAME.length, b"\0")


class Chain:
    """A chain as the kernel lists it; `hook` is -1 and `policy` NF_ACCEPT for those only jumped to."""

    __slots__ = ("family", "hook", "kind", "name", "policy", "priority", "table")

    def __init__(self, payload: bytes) -> None:
        self.family: int = _GENERIC.unpack_from(payload)[0]
        found = attributes(payload, _GENERIC.size)
        self.table = decode_text(found[_CHAIN_TABLE])
        self.name = decode_text(found[_CHAIN_NAME])
        self.kind = decode_text(found.get(_CHAIN_TYPE, b""))
        hook = attributes(found.get(_CHAIN_HOOK, b""))
        self.hook = int.from_bytes(hook[_HOOK_NUMBER], "big") if hook else -1
        self.priority = int.from_bytes(hook[_HOOK_PRIORITY], "big", signed=True) if hook else 0
        self.policy = int.from_bytes(found[_CHAIN_POLICY], "big") if _CHAIN_POLICY in found else NF_ACCEPT


class Rule:
    """A rule as the kernel lists it; `userdata` is what its maker attached."""

    __slots__ = ("handle", "userdata")

    def __init__(self, payload: bytes) -> None:
        found = attributes(payload, _GENERIC.size)
        self.handle = int.from_bytes(found[_RULE_HANDLE], "big")
        self.userdata = found.get(_RULE_USERDATA, b"")


class Element:
    """An element of a set with timeouts, as the kernel lists it. Times in milliseconds; 0 without a timeout."""

    __slots__ = ("comment", "expires", "key", "packets", "timeout")

    def __init__(self, payload: bytes) -> None:
        found = attributes(payload)
        self.key = attributes(found[_ELEMENT_KEY])[_DATA_VALUE]
        self.timeout = int.from_bytes(found.get(_ELEMENT_TIMEOUT, b""), "big")
        self.expires = int.from_bytes(found.get(_ELEMENT_EXPIRATION, b""), "big")
        self.comment = _read_comment(found.get(_ELEMENT_USERDATA, b""))
        counter = attributes(attributes(found.get(_ELEMENT_EXPRESSION, b"")).get(_EXPRESSION_DATA, b""))
        self.packets = int.from_bytes(counter.get(_COUNTER_PACKETS, b""), "big")


class Transaction:
    """Requests that take effect together, in order. All concern tables of one `family`."""

    def __init__(self, family: int = NFPROTO_INET) -> None:
        self.family = family
        self.messages: list[Message] = []
        self._sets = 0

    def _add(self, kind: int, operation: str, *parts: bytes, flags: int = 0) -> None:
        payload = _GENERIC.pack(self.family, 0, 0) + b"".join(parts)
        self.messages.append(Message(kind, payload, operation, flags))

    def table(self, name: str) -> None:
        """Make a table; one that exists stays as it is."""
        self._add(_NEWTABLE, f"add table {name}", text(_TABLE_NAME, name), flags=NLM_F_CREATE)

    def delete_table(self, name: str) -> None:
        """Delete a table with all that is in it (ENOENT when there is none)."""
        self._add(_DELTABLE, f"delete table {name}", text(_TABLE_NAME, name))

    def chain(self, table: str, name: str) -> None:
        """Make a chain that rules jump to."""
        where = text(_CHAIN_TABLE, table) + text(_CHAIN_NAME, name)
        self._add(_NEWCHAIN, f"add chain {table} {name}", where, flags=NLM_F_CREATE)

    def base_chain(
        self, table: str, name: str, *, kind: str, hook: int, priority: int, policy: int = NF_ACCEPT
    ) -> None:
        """Make a chain of `kind` ("filter", "nat", "route") that packets enter at `hook`."""
        self._add(
            _NEWCHAIN,
            f"add chain {table} {name}",
            text(_CHAIN_TABLE, table),
            text(_CHAIN_NAME, name),
            text(_CHAIN_TYPE, kind),
            _u32(_CHAIN_POLICY, policy),
            nested(_CHAIN_HOOK, _u32(_HOOK_NUMBER, hook), _u32(_HOOK_PRIORITY, priority & 0xFFFFFFFF)),
            flags=NLM_F_CREATE,
        )

    def rule(
        self, table: str, chain: str, *expressions: bytes, first: bool = False, userdata: bytes = b""
    ) -> None:
        """Add a rule at the end of a chain, or as its `first`."""
        self._add(
            _NEWRULE,
            f"add rule {table} {chain}",
            text(_RULE_TABLE, table),
            text(_RULE_CHAIN, chain),
            nested(_RULE_EXPRESSIONS, *expressions),
            attribute(_RULE_USERDATA, userdata) if userdata else b"",
            flags=NLM_F_CREATE | (0 if first else NLM_F_APPEND),
        )

    def delete_rule(self, table: str, chain: str, handle: int) -> None:
        """Delete the rule with this handle."""
        where = text(_RULE_TABLE, table) + text(_RULE_CHAIN, chain)
        number = attribute(_RULE_HANDLE, handle.to_bytes(8, "big"))
        self._add(_DELRULE, f"delete rule {table} {chain} {handle}", where, number)

    def flush_chain(self, table: str, chain: str) -> None:
        """Delete all rules of a chain."""
        where = text(_RULE_TABLE, table) + text(_RULE_CHAIN, chain)
        self._add(_DELRULE, f"flush chain {table} {chain}", where)

    def delete_set(self, table: str, name: str) -> None:
        """Delete a set that no rule looks into any more."""
        self._add(_DELSET, f"delete set {table} {name}", text(_SET_TABLE, table) + text(_SET_NAME, name))

    def set(
        self,
        table: str,
        name: str,
        key: Type,
        value: Type | None = None,
        *,
        size: int = 0,
        timed: bool = False,
        counted_for: int = 0,
    ) -> None:
        """Make a set of `key`, or with `value` a map, of at most `size` elements if that is not 0.

        `timed`: its elements may have timeouts. `counted_for`: packets put elements into it (`update`), each with
        a counter, which are gone after so many seconds without one.
        """
        self._sets += 1
        flags = 0 if value is None else _SET_IS_MAP
        flags |= _SET_HAS_TIMEOUT if timed or counted_for else 0
        flags |= _SET_IS_DYNAMIC if counted_for else 0
        parts = [
            text(_SET_TABLE, table),
            text(_SET_NAME, name),
            _u32(_SET_FLAGS, flags),
            _u32(_SET_KEY_TYPE, key.number),
            _u32(_SET_KEY_LEN, key.length),
            _u32(_SET_ID, self._sets),
        ]
        if key.native:
            parts.append(attribute(_SET_USERDATA, _USERDATA_NATIVE_KEY))
        if value is not None:
            parts += [_u32(_SET_DATA_TYPE, value.number), _u32(_SET_DATA_LEN, value.length)]
        if size:
            parts.append(nested(_SET_DESCRIPTION, _u32(_SET_DESCRIPTION_SIZE, size)))
        if counted_for:
            parts += [_milliseconds(_SET_TIMEOUT, counted_for), nested(_SET_EXPRESSION, counter()[4:])]
        self._add(_NEWSET, f"add set {table} {name}", *parts, flags=NLM_F_CREATE)

    def elements(self, table: str, name: str, keys: Iterable[bytes], *, exclusive: bool = False) -> None:
        """Put keys into a set; `exclusive` refuses those it has (EEXIST)."""
        flags = NLM_F_CREATE | (NLM_F_EXCL if exclusive else 0)
        self._elements(_NEWSETELEM, "add elements to", table, name, [_key(key) for key in keys], flags)

    def timed_elements(self, table: str, name: str, keys: Mapping[bytes, int], comment: str = "") -> None:
        """Put keys into a set for so many seconds from now on, also those that it has; `comment` is ASCII.

        0 seconds are for ever.
        """
        plain = [_key(key) for key in keys]
        userdata = attribute(_ELEMENT_USERDATA, write_comment(comment)) if comment else b""
        timed = [_key(key) + _milliseconds(_ELEMENT_TIMEOUT, seconds) + userdata for key, seconds in keys.items()]
        # Before 6.12 the timeout of an element that is there can not be changed; and only what is there can be
        # deleted.
        self._elements(_NEWSETELEM, "add elements to", table, name, timed, NLM_F_CREATE)
        self._elements(_DELSETELEM, "delete elements of", table, name, plain, 0)
        self._elements(_NEWSETELEM, "add elements to", table, name, timed, NLM_F_CREATE)

    def mapping(self, table: str, name: str, entries: Mapping[bytes, bytes], *, exclusive: bool = False) -> None:
        """Put keys with their values into a map; a key may only have one value (EEXIST)."""
        flags = NLM_F_CREATE | (NLM_F_EXCL if exclusive else 0)
        encoded = [
            _key(key) + nested(_ELEMENT_DATA, attribute(_DATA_VALUE, value)) for key, value in entries.items()
        ]
        self._elements(_NEWSETELEM, "add elements to", table, name, encoded, flags)

    def delete_elements(self, table: str, name: str, keys: Iterable[bytes]) -> None:
        """Take keys out of a set or map (ENOENT for one it has not)."""
        self._elements(_DELSETELEM, "delete elements of", table, name, [_key(key) for key in keys], 0)

    def _elements(self, kind: int, verb: str, table: str, name: str, encoded: Sequence[bytes], flags: int) -> None:
        where = text(_ELEMENTS_TABLE, table) + text(_ELEMENTS_SET, name)
        for start in range(0, len(encoded), _ELEMENTS_PER_MESSAGE):
            part = encoded[start : start + _ELEMENTS_PER_MESSAGE]
            elements = nested(_ELEMENTS, *(nested(_LIST_ELEM, element) for element in part))
            self._add(kind, f"{verb} {table} {name}", where, elements, flags=flags)


def _key(key: bytes) -> bytes:
    return nested(_ELEMENT_KEY, attribute(_DATA_VALUE, key))


def _u32(kind: int, value: int) -> bytes:
    return attribute(kind, value.to_bytes(4, "big"))


def write_comment(comment: str) -> bytes:
    """Return a comment as userdata."""
    text = comment.encode("ascii", "replace")[:_LONGEST_COMMENT]
    return bytes((_COMMENT, len(text) + 1)) + text + b"\0"


def _read_comment(userdata: bytes) -> str:
    return userdata[2 : 1 + userdata[1]].decode("ascii", "replace") if userdata[:1] == bytes((_COMMENT,)) else ""


def _milliseconds(kind: int, seconds: int) -> bytes:
    return attribute(kind, (1000 * seconds).to_bytes(8, "big"))


class Nftables:
    """A connection to the nf_tables of the network namespace it was opened in. One thread at a time."""

    def __init__(self) -> None:
        self._socket = Socket(NETLINK_NETFILTER)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Nftables:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def commit(self, transaction: Transaction) -> None:
        """Apply all of `transaction` or, raising `OSError` with the operation as `filename`, nothing."""
        envelope = _GENERIC.pack(NFPROTO_UNSPEC, 0, _NFNL_SUBSYS_NFTABLES)
        messages = [
            Message(_NFNL_MSG_BATCH_BEGIN, envelope, "begin transaction"),
            *transaction.messages,
            Message(_NFNL_MSG_BATCH_END, envelope, "commit transaction"),
        ]
        first = self._socket.number(messages)
        self._socket.send(b"".join(message.encode(first + index) for index, message in enumerate(messages)))
        failure: OSError | None = None
        while True:
            # The kernel works while it is sent to: the errors, if any, are there already.
            try:
                answers = self._socket.receive(socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            for kind, flags, sequence, payload in answers:
                if kind == NLMSG_ERROR and first <= sequence < first + len(messages):
                    error = error_of(flags, payload, messages[sequence - first].operation)
                    failure = failure or error
        if failure is not None:
            raise failure

    def tables(self, family: int = NFPROTO_INET) -> list[str]:
        """Return the names of the tables of a family."""
        answers = self._dump(_GETTABLE, family, "list tables")
        return [decode_text(attributes(payload, _GENERIC.size)[_TABLE_NAME]) for payload in answers]

    def chains(self, family: int = NFPROTO_UNSPEC) -> list[Chain]:
        """Return the chains of a family, by default of all."""
        return [Chain(payload) for payload in self._dump(_GETCHAIN, family, "list chains")]

    def rules(self, family: int, table: str, chain: str) -> list[Rule]:
        """Return the rules of a chain in order."""
        where = text(_RULE_TABLE, table) + text(_RULE_CHAIN, chain)
        return [Rule(payload) for payload in self._dump(_GETRULE, family, f"list rules {table} {chain}", where)]

    def sets(self, family: int, table: str) -> list[str]:
        """Return the names of the sets and maps of a table."""
        answers = self._dump(_GETSET, family, f"list sets of {table}", text(_SET_TABLE, table))
        return [decode_text(attributes(payload, _GENERIC.size)[_SET_NAME]) for payload in answers]

    def elements(self, family: int, table: str, name: str) -> list[bytes]:
        """Return the keys of a set or map."""
        return [element.key for element in self.listed(family, table, name)]

    def listed(self, family: int, table: str, name: str) -> list[Element]:
        """Return the elements of a set with what is known of each."""
        where = text(_ELEMENTS_TABLE, table) + text(_ELEMENTS_SET, name)
        answers = self._dump(_GETSETELEM, family, f"list elements of {table} {name}", where)
        return [
            Element(element)
            for payload in answers
            for _kind, element in members(attributes(payload, _GENERIC.size).get(_ELEMENTS, b""))
        ]

    def _dump(self, kind: int, family: int, operation: str, where: bytes = b"") -> list[bytes]:
        message = Message(kind, _GENERIC.pack(family, 0, 0) + where, operation, NLM_F_DUMP)
        try:
            return [payload for _kind, payload in self._socket.request(message)]
        except OSError as error:
            # Asking for what is in a table or chain that is not there.
            if error.errno == errno.ENOENT:
                return []
            raise
