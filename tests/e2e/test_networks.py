"""Networks that users make: isolation, addresses, several for one container, connecting and disconnecting."""

from __future__ import annotations

import json
from typing import Any

from rig.api import Api
from rig.clients import Client

BUSYBOX = "busybox"


def create(api: Api, name: str, **options: Any) -> str:
    reply = api.post("/networks/create", {"Name": name, **options})
    assert reply.status == 201, reply
    return str(reply.json["Id"])


def places(client: Client, name: str) -> Any:
    return json.loads(client.inspect(name, "{{json .NetworkSettings.Networks}}"))


def test_containers_meet_on_their_network_alone(client: Client, api: Api) -> None:
    create(api, "one")
    create(api, "two")
    first = client.detached("--network", "one", BUSYBOX, "sleep", "1000")
    stranger = client.detached("--network", "two", BUSYBOX, "sleep", "1000")
    there = places(client, first)["one"]["IPAddress"]
    ping = ("ping", "-c", "1", "-W", "1")
    assert "1 packets received" in client.ok("run", "--rm", "--network", "one", BUSYBOX, *ping, there)
    client.fails("exec", stranger, *ping, there, code=1)
    client.fails("run", "--rm", BUSYBOX, *ping, there, code=1)
