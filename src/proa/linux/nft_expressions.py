"""The expressions that nf_tables rules are made of: one a function, encoded for `Transaction.rule`.

They compute in registers: 1-4 of 16 bytes, or the same space as 8-23 of 4 bytes (8-11 are 1, 12-15 are 2).
A rule ends at the first comparison or lookup that fails. Constants from <linux/netfilter/nf_tables.h>.
"""

from __future__ import annotations

import sys

from proa.linux.netlink import attribute, nested, text

META_MARK, META_IIFNAME, META_OIFNAME, META_NFPROTO, META_L4PROTO = 3, 6, 7, 15, 16
CT_STATE, CT_DIRECTION, CT_STATUS, CT_MARK = 0, 1, 2, 3
CT_REPLY = b"\1"  # the direction of who answers
CT_STATE_ESTABLISHED, CT_STATE_RELATED = 1 << 1, 1 << 2
CT_STATUS_DNAT = 1 << 5  # <linux/netfilter/nf_conntrack_common.h> IPS_DST_NAT
PAYLOAD_NETWORK_HEADER, PAYLOAD_TRANSPORT_HEADER = 1, 2
FIB_DESTINATION = 2
FIB_ADDRESS_TYPE = 3
RTN_LOCAL = 2
NAT_SOURCE, NAT_DESTINATION = 0, 1
_CMP_EQ, _CMP_NEQ = 0, 1
_LOOKUP_INVERT = 1
_CHECKSUM_INTERNET = 1
_VERDICT_REGISTER = 0
_NFT_JUMP, _NFT_GOTO, _NFT_RETURN = -3, -4, -5
_REJECT_TCP_RST, _REJECT_ICMPX_UNREACH = 1, 2
_ICMPX_ADMIN_PROHIBITED = 3
_EXTHDR_PRESENT = 1
_DYNSET_UPDATE = 1
_DATA_VALUE, _DATA_VERDICT = 1, 2


def _expression(name: str, *parts: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, *parts))


def _u32(kind: int, value: int) -> bytes:
    return attribute(kind, (value & 0xFFFFFFFF).to_bytes(4, "big"))


def _value(kind: int, data: bytes) -> bytes:
    return nested(kind, attribute(_DATA_VALUE, data))


def meta(key: int, register: int = 1) -> bytes:
    """Load something known of the packet."""
    return _expression("meta", _u32(2, key), _u32(1, register))


def connection(key: int, register: int = 1) -> bytes:
    """Load something known of the packet's connection."""
    return _expression("ct", _u32(2, key), _u32(1, register))


def mark_connection(register: int = 1) -> bytes:
    """Give the packet's connection the mark in the register."""
    return _expression("ct", _u32(2, CT_MARK), _u32(4, register))


def payload(base: int, offset: int, length: int, register: int = 1) -> bytes:
    """Load `length` bytes of the packet from `offset` in a header."""
    return _expression("payload", _u32(1, register), _u32(2, base), _u32(3, offset), _u32(4, length))


def set_payload(base: int, offset: int, length: int, checksum: int, register: int = 1) -> bytes:
    """Overwrite `length` bytes of the packet from `offset` in a header, and put the checksum right that the
    header has at `checksum`.
    """
    return _expression(
        "payload",
        *(_u32(5, register), _u32(2, base), _u32(3, offset), _u32(4, length)),
        *(_u32(6, _CHECKSUM_INTERNET), _u32(7, checksum)),
    )


def load(data: bytes, register: int = 1) -> bytes:
    """Load a constant."""
    return _expression("immediate", _u32(1, register), _value(2, data))


def fib_destination_type(register: int = 1) -> bytes:
    """Load what the routing tables say of the destination: `RTN_LOCAL` for addresses of this host."""
    return _expression("fib", _u32(3, FIB_DESTINATION), _u32(2, FIB_ADDRESS_TYPE), _u32(1, register))


def equal(data: bytes, register: int = 1) -> bytes:
    """Go on if the register holds `data`."""
    return _expression("cmp", _u32(1, register), _u32(2, _CMP_EQ), _value(3, data))


def unequal(data: bytes, register: int = 1) -> bytes:
    """Go on if the register holds something else."""
    return _expression("cmp", _u32(1, register), _u32(2, _CMP_NEQ), _value(3, data))


def between(first: bytes, last: bytes, register: int = 1) -> bytes:
    """Go on if the register holds a value from `first` to `last`, compared as big-endian numbers."""
    return _expression("range", _u32(1, register), _u32(2, _CMP_EQ), _value(3, first), _value(4, last))


def masked(mask: bytes, register: int = 1) -> bytes:
    """Keep the bits of `mask` in the register: the prefix of an address."""
    return _expression(
        "bitwise",
        _u32(1, register),
        _u32(2, register),
        _u32(3, len(mask)),
        _value(4, mask),
        _value(5, bytes(len(mask))),
    )


def any_bit(mask: int, register: int = 1) -> tuple[bytes, bytes]:
    """Go on if the register, a number of the machine's byte order, has a bit of `mask`."""
    return masked(mask.to_bytes(4, sys.byteorder), register), unequal(bytes(4), register)


def lookup(set_name: str, register: int = 1, *, invert: bool = False, result: int | None = None) -> bytes:
    """Go on if the set has the key in `register` (`invert`: has it not); a map's value goes in `result`."""
    target = b"" if result is None else _u32(3, result)
    flags = _u32(5, _LOOKUP_INVERT) if invert else b""
    return _expression("lookup", text(1, set_name), _u32(2, register), target, flags)


def extension_header(kind: int, register: int = 1) -> bytes:
    """Load whether an IPv6 packet has an extension header: one byte, 1 or 0."""
    position = (attribute(2, bytes((kind,))), _u32(3, 0), _u32(4, 1))
    return _expression("exthdr", _u32(1, register), *position, _u32(5, _EXTHDR_PRESENT), _u32(6, 0))


def update(set_name: str, register: int = 1) -> bytes:
    """Put the key in `register` into a set, or count it there and begin its timeout anew; go on if it has room."""
    return _expression("dynset", text(1, set_name), _u32(3, _DYNSET_UPDATE), _u32(4, register))


def limit(rate: int, burst: int) -> bytes:
    """Go on for `rate` packets a second, after `burst` at once."""
    per_second = (attribute(1, rate.to_bytes(8, "big")), attribute(2, (1).to_bytes(8, "big")))
    return _expression("limit", *per_second, _u32(3, burst), _u32(4, 0), _u32(5, 0))


def log(group: int) -> bytes:
    """Tell whoever listens to this group of NFLOG (nflog.py)."""
    return _expression("log", attribute(1, group.to_bytes(2, "big")))


def reset() -> bytes:
    """Refuse a TCP packet by a reset: the caller of connect(2) hears of it at once."""
    return _expression("reject", _u32(1, _REJECT_TCP_RST), attribute(2, bytes(1)))


def prohibit() -> bytes:
    """Refuse a packet by ICMP's "administratively prohibited"."""
    return _expression("reject", _u32(1, _REJECT_ICMPX_UNREACH), attribute(2, bytes((_ICMPX_ADMIN_PROHIBITED,))))


def counter() -> bytes:
    """Count packets and bytes that come this far."""
    return _expression("counter")


def verdict(code: int) -> bytes:
    """End with NF_ACCEPT or NF_DROP."""
    return _expression("immediate", _u32(1, _VERDICT_REGISTER), nested(2, nested(_DATA_VERDICT, _u32(1, code))))


def jump(chain: str) -> bytes:
    """Go through another chain, and come back when that decides nothing."""
    return _to_chain(_NFT_JUMP, chain)


def go_to(chain: str) -> bytes:
    """Go through another chain and not come back."""
    return _to_chain(_NFT_GOTO, chain)


def _to_chain(how: int, chain: str) -> bytes:
    decision = nested(_DATA_VERDICT, _u32(1, how), text(2, chain))
    return _expression("immediate", _u32(1, _VERDICT_REGISTER), nested(2, decision))


def leave() -> bytes:
    """Leave the chain without a decision ("return"); in a base chain its policy applies."""
    return verdict(_NFT_RETURN)


def masquerade() -> bytes:
    """Give the packet's connection the address of the interface by which it leaves as source."""
    return _expression("masq")


def destination_nat(family: int, address_register: int, port_register: int) -> bytes:
    """Send the packet's connection to the address and port in the registers."""
    return _expression(
        "nat", _u32(1, NAT_DESTINATION), _u32(2, family), _u32(3, address_register), _u32(5, port_register)
    )
