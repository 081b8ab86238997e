"""`proa system ports`, on an answer as the engine gives it."""

from __future__ import annotations

import json
from typing import Any

from rig.recorder import Recorder, Reply

from .conftest import Proa


def port(private: int, public: int = 0, address: str = "", protocol: str = "tcp") -> dict[str, Any]:
    return {"PrivatePort": private, "Type": protocol} | ({"PublicPort": public, "IP": address} if public else {})


CONTAINERS = [
    {
        "Id": "a" * 64, "Names": ["/web"], "HostConfig": {"NetworkMode": "bridge"},
        "Ports": [port(80, 8080, address) for address in ("0.0.0.0", "::")]
        + [port(81), port(53, 5353, "127.0.0.1", "udp"), port(90, 9000, "192.0.2.7"), port(91, 9100, "::1")],
    },
    {
        "Id": "b" * 64, "Names": ["/sip"], "HostConfig": {"NetworkMode": "mine"},
        "NetworkSettings": {"PublishPolicy": "host-input"},
        "Ports": [port(number, number, "0.0.0.0", "udp") for number in range(10_000, 10_100)],
    },
    {"Id": "c" * 64, "Names": ["/probe"], "HostConfig": {"NetworkMode": "host"}, "Ports": []},
]  # fmt: skip
EXPECTED = """\
HOST PORT                       OPEN TO                              CONTAINER   CONTAINER PORT
(the host's network)            whoever reaches what it listens at   probe       any
127.0.0.1:5353/udp              this host                            web         53/udp
0.0.0.0:8080/tcp                everybody, by IPv4                   web         80/tcp
[::]:8080/tcp                   everybody, by IPv6                   web         80/tcp
192.0.2.7:9000/tcp              who reaches 192.0.2.7                web         90/tcp
[::1]:9100/tcp                  this host                            web         91/tcp
0.0.0.0:10000-10099/udp         everybody, by IPv4, by the host's INPUT rules   sip         10000-10099/udp
"""


def test_who_gets_at_what(engine: Recorder, proa: Proa) -> None:
    engine.on("GET /containers/json", Reply(value=CONTAINERS))
    shown = proa("system", "ports").out
    assert [line.split("   ")[0] for line in shown.splitlines()] == [
        line.split("   ")[0] for line in EXPECTED.splitlines()
    ]
    assert [line.split() for line in shown.splitlines()] == [line.split() for line in EXPECTED.splitlines()]
    last = json.loads(proa("system", "ports", "--format", "json").out.splitlines()[-1])
    assert last == {
        "HostPort": "0.0.0.0:10000-10099/udp", "OpenTo": "everybody, by IPv4, by the host's INPUT rules",
        "Policy": "host-input", "Container": "sip",
        "ContainerPort": "10000-10099/udp", "ID": "b" * 12,
    }  # fmt: skip
    assert proa("system", "ports", "--no-trunc", "--format", "{{.ID}}").out.splitlines()[0] == "c" * 64
