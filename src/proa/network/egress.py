"""Egress rules: what a container may reach. Read here, enforced by `egress_table.py`.

    deny                                         nothing but what other rules allow
    allow=DEST[:PORT[-PORT]][/tcp|udp|sctp]      this as well; it implies deny

DEST is an address, a subnet, `[IPv6 address]` where a port follows, a name, or `*.domain` for all names below a
domain (`*`: all names). A port without a protocol is TCP's, as in `--publish`; without both everything is allowed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from proa.errors import InvalidArgument

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}  # by their numbers (IANA)
MOST_RULES = 256  # a packet that begins a connection is compared with one after the other
_SYNTAX = "use deny or allow=DESTINATION[:PORT[-PORT]][/tcp|udp|sctp]"
_LARGEST_PORT = 65535
_LONGEST_NAME, _LONGEST_LABEL = 253, 63  # characters (RFC 1035, 2.3.4)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_-])?")
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is allowed: a subnet, or what a name stands for at the time."""

    subnet: Subnet | None
    name: str = ""  # in lower case; "*.example.org" and "*" are patterns
    protocol: str = ""  # "" is every one
    first: int = 0  # port; 0 is every one
    last: int = 0

    def __str__(self) -> str:
        """Return the destination as it is written in a rule."""
        destination = self.name
        if self.subnet is not None:
            whole = self.subnet.prefixlen == self.subnet.max_prefixlen
            destination = str(self.subnet.network_address if whole else self.subnet)
            if self.first and self.subnet.version == 6:
                destination = f"[{destination}]"
        ports = f":{self.first}" if self.first else ""
        ports += f"-{self.last}" if self.last != self.first else ""
        return f"{destination}{ports}{f'/{self.protocol}' if self.protocol else ''}"


def fits(name: str, asked: str) -> bool:
    """Whether a rule's name, perhaps a pattern, is one that was asked for."""
    return name in (asked, "*") or (name.startswith("*.") and asked.endswith(name[1:]))


def parse(words: Iterable[str]) -> list[Rule]:
    """Read rules, each of them perhaps several between commas or spaces; return what they allow, each once.

    Raises `InvalidArgument` for what is no rule, and for none at all.
    """
    rules: dict[Rule, None] = {}
    parts = [part for word in words for part in re.split(r"[\s,]+", word) if part]
    if not parts:
        raise InvalidArgument(f"invalid egress rules: there is none; {_SYNTAX}")
    for part in parts:
        keyword, equals, destination = part.partition("=")
        if (keyword, equals) == ("deny", ""):
            continue
        if keyword != "allow" or not destination:
            raise InvalidArgument(f'invalid egress rule "{part:.300}": {_SYNTAX}')
        rules[_rule(part, destination)] = None
    if len(rules) > MOST_RULES:
        raise InvalidArgument(f"invalid egress rules: there are {len(rules)}, {MOST_RULES} are the most")
    return list(rules)


def allowed(destination: str) -> Rule:
    """Read what `str` of a rule gives."""
    return _rule(destination, destination)


def _rule(part: str, text: str) -> Rule:
    rest, protocol = _split_protocol(part, text)
    host, first, last = _split_ports(part, rest)
    if first and not protocol:
        protocol = "tcp"
    subnet = _subnet(part, host)
    if subnet is not None:
        return Rule(subnet, protocol=protocol, first=first, last=last)
    return Rule(None, _name(part, host), protocol, first, last)


def _split_protocol(part: str, text: str) -> tuple[str, str]:
    rest, slash, protocol = text.rpartition("/")
    if not slash or protocol.isdecimal():  # the length of a prefix
        return text, ""
    if ":" in protocol or "]" in protocol:  # a prefix with ports behind it
        return text, ""
    if protocol.lower() not in PROTOCOLS:
        raise _wrong(part, f'the protocol "{protocol}" is none of {", ".join(PROTOCOLS)}')
    return rest, protocol.lower()


def _split_ports(part: str, text: str) -> tuple[str, int, int]:
    """Return host, first and last port; an IPv6 address with ports is in brackets, its prefix inside or behind."""
    if text.startswith("["):
        inner, bracket, rest = text[1:].partition("]")
        prefix, colon, ports = rest.partition(":")
        if not bracket or (prefix and not prefix.startswith("/")) or ":" not in inner:
            raise _wrong(part, "brackets are for an IPv6 address, [2001:db8::1]:443")
        return inner + prefix, *(_ports(part, ports) if colon else (0, 0))
    if text.count(":") > 1:
        return text, 0, 0  # an IPv6 address alone
    host, colon, ports = text.partition(":")
    return host, *(_ports(part, ports) if colon else (0, 0))


def _ports(part: str, text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    last = last if dash else first
    for each in (first, last):
        if not (each.isascii() and each.isdecimal() and len(each) <= 5 and 0 < int(each) <= _LARGEST_PORT):
            raise _wrong(part, f'"{text}" is no port from 1 to {_LARGEST_PORT}, and no range of them')
    if int(first) > int(last):
        raise _wrong(part, f"the range {text} ends before it begins")
    return int(first), int(last)


def _subnet(part: str, host: str) -> Subnet | None:
    """Return the subnet of a destination, None if it is a name. Raises `InvalidArgument` for half of either."""
    looks_like_one = ":" in host or "/" in host or host.rpartition(".")[2].isdecimal()
    if not looks_like_one:
        return None
    if "%" in host:
        raise _wrong(part, "an address with a zone is not supported")
    try:
        return ipaddress.ip_network(host)
    except ValueError:
        pass
    try:
        wider = ipaddress.ip_network(host, strict=False)
    except ValueError:
        raise _wrong(part, f'"{host}" is no address, no subnet and no name') from None
    raise _wrong(part, f"{host} has bits beyond its prefix: write {wider}")


def _name(part: str, host: str) -> str:
    if host == "*":
        return host
    name = host.lower().removesuffix(".")
    if not name.isascii():
        raise _wrong(part, f'"{host}" is not ASCII: write the name as it is in the DNS, xn--…')
    labels = name.removeprefix("*.").split(".")
    for label in labels:
        if not _LABEL.fullmatch(label) or len(label) > _LONGEST_LABEL or len(name) > _LONGEST_NAME:
            hint = "; * stands alone or before the first dot" if "*" in name else ""
            raise _wrong(part, f'"{host}" is no address, no subnet and no name{hint}')
    return name


def _wrong(part: str, reason: str) -> InvalidArgument:
    return InvalidArgument(f'invalid egress rule "{part:.300}": {reason}')
