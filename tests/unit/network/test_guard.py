"""Whether the engine's table is whole, and who is woken by changes of it."""

from __future__ import annotations

from contextlib import closing

import pytest

from proa.linux.nft_changes import Changes
from proa.network.firewall import Firewall, Rules
from proa.network.published import Mapping, Published
from rig.private_network import nft, private_network

PORTS = [
    Mapping(Published("tcp", "0.0.0.0", 8080, 80), "10.9.0.2"),
    Mapping(Published("udp", "0.0.0.0", 0, 53), "10.9.0.2"),
]


@private_network
def test_elements_wake_nobody() -> None:
    """What comes and goes with containers and networks is heard by no engine, its own or another."""
    with closing(Firewall("proa0")) as firewall, closing(Changes()) as changes:
        firewall.reset([Rules("br0")])
        assert changes.drain() and not changes.drain()
        for _ in range(3):
            firewall.add(Rules("br1", gateway="routed"))
            firewall.publish(PORTS)
            firewall.publish(PORTS)  # are there already: an element goes and comes
            firewall.withdraw(PORTS)
            firewall.remove(Rules("br1", gateway="routed"))
        assert not changes.drain()
        for others in (
            ["add", "table", "ip", "t"],
            ["add", "chain", "ip", "t", "c", "{ type filter hook forward priority 0; policy drop; }"],
            ["add", "rule", "ip", "t", "c", "accept"],
            ["flush", "table", "ip", "t"],
            ["delete", "table", "ip", "t"],
        ):
            nft(*others)
            assert changes.drain(), others


@pytest.mark.parametrize(
    "damage",
    [
        "delete table inet proa0",
        "delete chain inet proa0 martians",
        "flush chain inet proa0 routed_to",
        "flush chain inet proa0 postrouting",
        "insert rule inet proa0 forward accept",
        "add chain inet proa0 mine",
    ],
)
@private_network
def test_a_table_that_is_not_whole(damage: str) -> None:
    with closing(Firewall("proa0")) as firewall:
        firewall.reset([Rules("br0")])
        nft("add", "table", "inet", "proa1")
        assert firewall.is_whole()
        nft(*damage.split())
        assert not firewall.is_whole()
        firewall.reset([Rules("br0")])
        assert firewall.is_whole()
