"""Networks that make no sense, or mean harm: each is refused by name before the kernel is asked for anything."""

from __future__ import annotations

import pytest

from proa.engine.networks import checks, drivers, ipam, options, orders
from proa.engine.networks.records import Subnet
from proa.engine.options import EndpointOptions
from proa.errors import InvalidArgument

OPTIONS = [
    ("bridge", drivers.MTU, "9" * 30),
    ("bridge", drivers.MTU, "1_500"),
    ("bridge", drivers.MTU, " 1500"),
    ("bridge", drivers.MTU, "65536"),
    ("bridge", drivers.MTU, "-1"),
    ("macvlan", drivers.MTU, "x"),
    ("ipvlan", drivers.MTU, "٣"),
    ("bridge", drivers.ICC, "yes"),
    ("bridge", drivers.GATEWAY_MODE, "Routed"),
    ("bridge", drivers.GATEWAY_MODE6, "isolated"),
    ("bridge", "org.proa.publish-policy", "host"),
    ("bridge", drivers.HOST_BINDING, "256.0.0.1"),
    ("bridge", drivers.BRIDGE_NAME, "../../etc"),
    ("bridge", drivers.BRIDGE_NAME, "sixteen-letters!"),
    ("bridge", drivers.BRIDGE_NAME, ".."),
    ("bridge", drivers.BRIDGE_NAME, "a\0b"),
    ("bridge", drivers.DEVICE, "a/b"),
    ("macvlan", drivers.DEVICE, "a b"),
    ("macvlan", "macvlan_mode", "BRIDGE"),
    ("ipvlan", "ipvlan_mode", "l4"),
    ("ipvlan", "ipvlan_flag", "x"),
    ("macvlan", "parent", "lo"),
]


@pytest.mark.parametrize(("driver", "name", "value"), OPTIONS)
def test_options_of_drivers(driver: str, name: str, value: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        options.check(driver, {name: value})
    assert value in caught.value.message


@pytest.mark.parametrize(
    "subnet",
    ["", "/", "/24", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/255.0.0.0", "10.0.0.0/8/8", "10.0.0.0/٨",
     "010.0.0.0/8", "10.0.0/8", "fd00::%eth0/64", "fd00::/129", "10.0.0.0/8 ", "\0"],
)  # fmt: skip
def test_subnets(subnet: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid CIDR block notation"):
        ipam.check([Subnet(subnet=subnet)], ipv6=True)
    with pytest.raises(InvalidArgument, match="invalid CIDR block notation"):
        ipam.check([Subnet(subnet="10.0.0.0/8", range=subnet or "x")], ipv6=True)


@pytest.mark.parametrize(
    "address", ["x", "10.0.0", "010.0.0.1", "10.0.0.1/8", "fd00::1%eth0", "10.0.0.1 ", "1", "\0"]
)
def test_addresses(address: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid address"):
        ipam.check([Subnet(subnet="10.0.0.0/8", gateway=address)], ipv6=True)
    with pytest.raises(InvalidArgument, match="invalid address"):
        ipam.check([Subnet(subnet="10.0.0.0/8", auxiliary={"a": address})], ipv6=True)
    for wishes in (EndpointOptions(address=address), EndpointOptions(address6=address)):
        with pytest.raises(InvalidArgument, match=r"invalid IPv[46] address"):
            checks.check("mine", wishes, None, prefix="")
    with pytest.raises(InvalidArgument, match="invalid link-local IP address"):
        checks.check("mine", EndpointOptions(link_local_addresses=[address]), None, prefix="")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        (orders.DEVICE, "../x"),
        (orders.DEVICE, ".."),
        (orders.DEVICE, "a" * 16),
        (orders.SYSCTLS, "net.ipv4.conf.IFNAME.../../kernel=1"),
        (orders.SYSCTLS, "kernel.core_pattern=|/bin/sh"),
        (orders.SYSCTLS, "net.ipv4.conf.eth0.log_martians=1"),
        (orders.SYSCTLS, "net.ipv4.conf.IFNAME.log_martians"),
        (orders.SYSCTLS, "net.unix.conf.IFNAME.x=1"),
    ],
)
def test_options_of_endpoints(option: str, value: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        checks.check("mine", EndpointOptions(driver_options={option: value}), None, prefix="")
    assert value in caught.value.message


@pytest.mark.parametrize(
    "mac", ["x", "01:00:5e:00:00:01", "00:00:00:00:00:00", "02:42:ac:11:00", "02:42:ac:11:00:0g"]
)
def test_mac_addresses(mac: str) -> None:
    with pytest.raises(InvalidArgument, match=f"invalid MAC address {mac}"):
        checks.check("mine", EndpointOptions(mac_address=mac), None, prefix="")
