"""Published ports in create bodies, and in what `inspect` and the list say."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from proa.api.request import convert
from proa.api.translate import create
from proa.api.translate.ports import port_list, port_map
from proa.api.types.containers import CreateBody
from proa.engine.options import ContainerOptions, PortBinding
from proa.engine.records import Container, EndpointRecord, State, Status
from proa.errors import InvalidArgument
from proa.network.published import Published


def bindings(asked: dict[str, Any], **host: Any) -> list[PortBinding]:
    body = {"Image": "busybox", "HostConfig": {"PortBindings": asked, **host}}
    return create.options(msgspec.convert(body, CreateBody)).port_bindings


def at(port: str, address: str = "") -> list[dict[str, str]]:
    return [{"HostIp": address, "HostPort": port}]


def test_each_form() -> None:
    assert bindings({"80/tcp": at("8080")}) == [PortBinding(protocol="tcp", port=80, first=8080, last=8080)]
    assert bindings({"80": at("")}) == [PortBinding(protocol="tcp", port=80)]
    assert bindings({"80/UDP": at("0")}) == [PortBinding(protocol="udp", port=80)]
    assert bindings({"80/tcp": [{}]}) == [PortBinding(protocol="tcp", port=80)]
    assert bindings({"80/tcp": at("8080-8085")}) == [PortBinding(protocol="tcp", port=80, first=8080, last=8085)]
    assert bindings({"80/tcp": at("8080/tcp", "::1")})[0].host_address == "::1"
    assert bindings({"80/tcp": at("8080", "::ffff:127.0.0.1")})[0].host_address == "127.0.0.1"
    assert bindings({"80/tcp": at("8080", "2001:DB8:0::1")})[0].host_address == "2001:db8::1"
    assert bindings({"80/tcp": []}) == []


def test_ranges_stay_ranges() -> None:
    """Thousands of ports are one entry of the record."""
    asked = {f"{port}/udp": at(str(port + 1000)) for port in range(10_000, 20_000)}
    assert bindings(asked) == [PortBinding(protocol="udp", port=10_000, count=10_000, first=11_000, last=20_999)]
    free = {f"{port}/tcp": at("") for port in (90, 91, 93)}
    assert bindings(free) == [
        PortBinding(protocol="tcp", port=90, count=2),
        PortBinding(protocol="tcp", port=93),
    ]
    # Each a choice of its own, and not in order: nothing to join.
    assert len(bindings({"80/tcp": at("8000-8001"), "81/tcp": at("8000-8001")})) == 2
    assert len(bindings({"80/tcp": at("8000"), "81/tcp": at("8002")})) == 2
    assert len(bindings({"80/tcp": at("8000"), "81/tcp": at("8001", "127.0.0.1")})) == 2


INVALID = [
    ({"80/tcp": at("abc")}, 'invalid port specification: "abc"'),
    ({"80/tcp": at("70000")}, 'invalid port specification: "70000"'),
    ({"80/tcp": at("-1")}, 'invalid port specification: "-1"'),
    ({"80/tcp": at("8085-8080")}, 'invalid port specification: "8085-8080"'),
    ({"80/tcp": at("0-5")}, 'invalid port specification: "0-5"'),
    ({"80/tcp": at("8080 ")}, 'invalid port specification: "8080 "'),
    ({"80/tcp": at("8\u0660")}, 'invalid port specification: "8\u0660"'),
    ({"abc/tcp": at("80")}, 'invalid port specification: "abc"'),
    ({"abc": []}, 'invalid port specification: "abc"'),
    ({"80-82/tcp": at("80")}, 'invalid port specification: "80-82"'),
    ({"/tcp": at("80")}, 'invalid port specification: ""'),
    ({"0/tcp": at("80")}, 'invalid port specification: "0"'),
    ({"80/icmp": at("80")}, "invalid proto: icmp"),
    # Docker takes these for every address of the host.
    ({"80/tcp": at("80", "localhost")}, "invalid IP address: localhost"),
    ({"80/tcp": at("80", "[::1]")}, "invalid IP address: [::1]"),
    ({"80/tcp": at("80", "fe80::1%eth0")}, "invalid IP address: fe80::1%eth0"),
]


@pytest.mark.parametrize(("asked", "message"), INVALID)
def test_nonsense_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument) as failure:
        bindings(asked)
    assert failure.value.message == message


@pytest.mark.parametrize("port", ["80/tcp", "80", "80/", "80/zz", "0/tcp", "/tcp", ""])
def test_ports_that_nothing_is_bound_to(port: str) -> None:
    assert bindings({port: []}) == []


@pytest.mark.parametrize("port", ["x", "x/tcp", "70000/tcp", "80-82/tcp", "-1/tcp", " 80"])
def test_nonsense_that_nothing_is_bound_to(port: str) -> None:
    """`null`, as [], binds nothing; dockerd looks at the port's number."""
    body = convert({"Image": "busybox", "HostConfig": {"PortBindings": {port: None}}}, CreateBody)
    with pytest.raises(
        InvalidArgument, match=re.escape(f'invalid port specification: "{port.partition("/")[0]}"')
    ):
        create.options(body)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"HostConfig": {"PortBindings": {"80/tcp": []}}}, "port publishing"),
        ({"HostConfig": {"PublishAllPorts": True}}, "port publishing"),
        ({"ExposedPorts": {"80/tcp": {}}, "HostConfig": {}}, "port exposing"),
    ],
)
def test_who_shares_a_network_has_no_ports(body: dict[str, Any], what: str) -> None:
    body = {**body, "Image": "busybox", "HostConfig": {**body["HostConfig"], "NetworkMode": "container:other"}}
    with pytest.raises(InvalidArgument) as failure:
        create.options(msgspec.convert(body, CreateBody))
    assert failure.value.message == f"conflicting options: {what} and the container type network mode"


def record(**changes: Any) -> Container:
    options = ContainerOptions(image="busybox", exposed_ports=["70-71/tcp", "80/tcp", "53/udp"])
    return Container(
        id="0" * 64,
        name="one",
        created=0,
        image_id="",
        layers=[],
        options=options,
        state=State(status=Status.RUNNING),
        endpoints={"bridge": EndpointRecord(network="bridge")},
        ports=[
            Published("tcp", "0.0.0.0", 8080, 80, 2),
            Published("tcp", "::", 8080, 80, 2),
            Published("tcp", "127.0.0.1", 9000, 80),
        ],
        **changes,
    )


def test_inspect_and_list() -> None:
    mapped = port_map(record())
    assert list(mapped) == ["53/udp", "70/tcp", "71/tcp", "80/tcp", "81/tcp"]
    assert mapped["70/tcp"] is None
    assert mapped["80/tcp"] == [
        {"HostIp": "0.0.0.0", "HostPort": "8080"},
        {"HostIp": "::", "HostPort": "8080"},
        {"HostIp": "127.0.0.1", "HostPort": "9000"},
    ]
    listed = port_list(record())
    assert {"PrivatePort": 53, "Type": "udp"} in listed
    assert {"IP": "::", "PrivatePort": 81, "PublicPort": 8081, "Type": "tcp"} in listed
    assert len(listed) == 8


def test_who_does_not_run_has_no_ports() -> None:
    stopped = record()
    stopped.state = State(status=Status.EXITED)
    assert port_map(stopped) == {} and port_list(stopped) == []
