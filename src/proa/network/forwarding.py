"""Forwarding by the host: switched on for containers, and what other firewalls on it think of that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from proa.linux import xtables
from proa.linux.nftables import (
    NF_DROP,
    NF_INET_FORWARD,
    NFPROTO_INET,
    NFPROTO_IPV4,
    Nftables,
)
from proa.network.endpoint import write_sysctl

_IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_IPV6 = Path("/proc/sys/net/ipv6/conf")
_FAMILIES = {NFPROTO_INET: "inet", NFPROTO_IPV4: "ip"}


def is_enabled() -> bool:
    """Whether this host forwards IPv4 packets. Like what follows, of the calling thread's namespace."""
    return _IP_FORWARD.read_bytes().strip() != b"0"


def enable() -> None:
    """Have the host forward IPv4 packets."""
    write_sysctl(str(_IP_FORWARD), b"1")


def disable() -> None:
    """Have the host forward nothing."""
    write_sysctl(str(_IP_FORWARD), b"0")


def is_enabled_ipv6() -> bool:
    """Whether this host forwards IPv6 packets; so it is taken for one that has no IPv6 at all."""
    path = _IPV6 / "all" / "forwarding"
    return not path.exists() or path.read_bytes().strip() != b"0"


def enable_ipv6() -> None:
    """Have the host forward IPv6 packets, and go on listening to routers where it did so far.

    A host that forwards is a router to the kernel, and forgets what it has learnt from others unless told
    otherwise (ip-sysctl.rst, accept_ra).
    """
    for interface in _IPV6.iterdir():
        if interface.name not in ("all", "default") and _is_listening(interface):
            write_sysctl(str(interface / "accept_ra"), b"2")
    write_sysctl(str(_IPV6 / "all" / "forwarding"), b"1")


def disable_ipv6() -> None:
    """Have the host forward no IPv6 packets."""
    write_sysctl(str(_IPV6 / "all" / "forwarding"), b"0")


def _is_listening(interface: Path) -> bool:
    try:
        return (interface / "accept_ra").read_bytes().strip() == b"1"
    except FileNotFoundError:  # it has just gone
        return False


def obstacles(bridge: str) -> Iterator[str]:
    """Yield a warning for each firewall that drops forwarded packets by default, unless told otherwise.

    A packet must be accepted by every table: no rule in ours can let through what another's policy drops.
    Others' tables are theirs; their owners can let the bridge's traffic pass.
    """
    with Nftables() as nftables:
        chains = nftables.chains()
    docker = any(chain.table == "filter" and chain.name == "DOCKER-USER" for chain in chains)
    for chain in chains:
        if chain.hook == NF_INET_FORWARD and chain.kind == "filter" and chain.policy == NF_DROP:
            family = _FAMILIES.get(chain.family)
            if family:
                iptables = family == "ip" and chain.table == "filter"
                yield _warning(bridge, f"{family} {chain.table} {chain.name}", iptables, docker)
    if xtables.drops_by_policy("filter", NF_INET_FORWARD):
        yield _warning(bridge, "filter FORWARD (iptables-legacy)", True, False)


def _warning(bridge: str, where: str, iptables: bool, docker: bool) -> str:
    what = f"packets from and to containers on {bridge} may be dropped by the policy of the chain {where}"
    if not iptables:
        return f"{what}; accept interface {bridge} there"
    chain = "DOCKER-USER" if docker else "FORWARD"
    return (
        f"{what}; to let them pass: iptables -I {chain} -i {bridge} -j ACCEPT; "
        f"iptables -I {chain} -o {bridge} -j ACCEPT"
    )
