"""Interfaces of the host that networks may share, and those they may not."""

from __future__ import annotations

import pytest

from proa.engine.networks import drivers
from proa.engine.networks.records import Network
from proa.errors import Forbidden

PASSTHRU = {"parent": "eth0", "macvlan_mode": "passthru"}
ETH0 = {"parent": "eth0"}
BRIDGE = {"com.docker.network.bridge.name": "br9"}


def network(identifier: str, driver: str, options: dict[str, str]) -> Network:
    return Network(id=identifier * 64, name=identifier, driver=driver, created=0, options=options)


@pytest.mark.parametrize(
    ("driver", "wanted", "other", "match"),
    [
        ("bridge", BRIDGE, BRIDGE, "networks have same bridge name"),
        ("ipvlan", ETH0, ETH0, "network di-bbbbbbbbbbbb is already using parent interface eth0"),
        ("macvlan", PASSTHRU, ETH0, "cannot use mode passthru, macvlan network b+ is already using parent"),
        ("macvlan", ETH0, PASSTHRU, "macvlan network b+ is already using parent interface eth0 in mode passthru"),
    ],
)
def test_interfaces_that_are_taken(driver: str, wanted: dict[str, str], other: dict[str, str], match: str) -> None:
    with pytest.raises(Forbidden, match=match):
        drivers.refuse_taken(network("a", driver, wanted), [network("b", driver, other)])


def test_interfaces_that_are_shared() -> None:
    others = [network("b", "macvlan", ETH0), network("c", "bridge", {}), network("d", "null", {})]
    drivers.refuse_taken(network("a", "macvlan", ETH0), others)
    drivers.refuse_taken(network("a", "ipvlan", {}), others)
