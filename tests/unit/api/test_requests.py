"""Create requests of each API version: what they know, what they mean by saying nothing. As dockerd 28 has it."""

from __future__ import annotations

from typing import Any

import pytest

from proa.api.translate.requests import MAC_ADDRESS_MOVED, adapt
from proa.api.versions import Version
from proa.errors import InvalidArgument
from rig.fake_engine import FakeEngine
from rig.raw_client import Client

BIND = {"Type": "bind", "Source": "/tmp", "Target": "/x"}

# Request, path in what is left of it, the first version that knows it.
KNOWN: list[tuple[dict[str, Any], Version]] = [
    ({"HostConfig": {"AutoRemove": True}}, (1, 25)),
    ({"HostConfig": {"PidsLimit": 7}}, (1, 40)),
    ({"HostConfig": {"Mounts": [BIND, {**BIND, "BindOptions": {"NonRecursive": True}}]}}, (1, 40)),
    ({"HostConfig": {"Mounts": [{**BIND, "BindOptions": {"CreateMountpoint": True}}]}}, (1, 42)),
    ({"HostConfig": {"ConsoleSize": [10, 20]}}, (1, 42)),
    ({"HostConfig": {"Annotations": {"a": "b"}}}, (1, 43)),
    ({"Healthcheck": {"StartInterval": 10**9}}, (1, 44)),
    ({"HostConfig": {"Mounts": [{**BIND, "BindOptions": {"ReadOnlyNonRecursive": True}}]}}, (1, 44)),
    ({"HostConfig": {"Mounts": [{**BIND, "BindOptions": {"ReadOnlyForceRecursive": True}}]}}, (1, 44)),
    ({"HostConfig": {"Mounts": [{**BIND, "Type": "volume", "VolumeOptions": {"Subpath": "a"}}]}}, (1, 45)),
    ({"NetworkingConfig": {"EndpointsConfig": {"n": {"GwPriority": 1}}}}, (1, 48)),
]


def leaves(value: Any) -> int:
    """How much a request says."""
    if isinstance(value, dict):
        return sum(leaves(each) for each in value.values())
    return sum(leaves(each) for each in value) if isinstance(value, list) else 1


def copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: copied(each) for key, each in value.items()}
    return [copied(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("body", "since"), KNOWN)
def test_fields_are_left_out_before_their_time(body: dict[str, Any], since: Version) -> None:
    for minor in range(24, 52):
        document = {"HostConfig": {"IpcMode": "host"}} | copied(body)
        document.setdefault("HostConfig", {}).setdefault("IpcMode", "host")
        whole = leaves(document)
        adapt(document, (1, minor))
        assert (leaves(document) == whole) is ((1, minor) >= since), minor


def test_kernel_memory_is_unknown_since_1_42() -> None:
    for version, known in (((1, 41), True), ((1, 42), False)):
        document: dict[str, Any] = {"HostConfig": {"KernelMemory": 1, "KernelMemoryTCP": 2}}
        adapt(document, version)
        assert bool(document["HostConfig"]) is known


@pytest.mark.parametrize(("version", "mode"), [("1.24", "shareable"), ("1.39", "shareable"), ("1.40", "private")])
async def test_the_ipc_namespace_could_be_joined_before_1_40(client: Client, version: str, mode: str) -> None:
    reply = await client.post(f"/v{version}/containers/create", {"Image": "busybox"})
    shown = (await client.get(f"/containers/{reply.json['Id']}/json")).json["HostConfig"]
    assert shown["IpcMode"] == mode


@pytest.mark.parametrize(("version", "warnings"), [("1.43", []), ("1.44", [MAC_ADDRESS_MOVED])])
async def test_the_mac_address_moved_in_1_44(client: Client, version: str, warnings: list[str]) -> None:
    body = {"Image": "busybox", "MacAddress": "02:42:ac:11:00:99"}
    assert (await client.post(f"/v{version}/containers/create", body)).json["Warnings"] == warnings


REFUSED: list[tuple[dict[str, Any], Version, str]] = [
    (
        {"NetworkingConfig": {"EndpointsConfig": {"a": {}, "b": {}}}}, (1, 43),
        "Container cannot be created with multiple network endpoints: a, b",
    ),
    ({"HostConfig": {"Mounts": [{"Type": "image"}]}}, (1, 47), 'Mount type "Image" needs API v1.48 or newer'),
    (
        {"HostConfig": {"Mounts": [{"Type": "volume", "BindOptions": {}}]}}, (1, 42),
        'BindOptions must not be specified on mount type "volume"',
    ),
]  # fmt: skip


@pytest.mark.parametrize(("body", "version", "message"), REFUSED)
def test_what_a_version_refuses(body: dict[str, Any], version: Version, message: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        adapt(copied(body), version)
    assert refused.value.message == message


NONSENSE = [{"HostConfig": 1}, {"HostConfig": {"Mounts": {"a": 1}}}, {"NetworkingConfig": [1]}]


@pytest.mark.parametrize("body", NONSENSE)
@pytest.mark.parametrize("version", ["1.24", "1.51"])
async def test_nonsense_is_refused_in_every_version(client: Client, body: dict[str, Any], version: str) -> None:
    reply = await client.post(f"/v{version}/containers/create", {"Image": "busybox", **body})
    assert reply.status == 400 and "invalid JSON" in reply.message


async def test_the_platform_counts_since_1_41(client: Client, engine: FakeEngine) -> None:
    for version, platform in (("1.40", ""), ("1.41", "linux/arm64")):
        reply = await client.post(f"/v{version}/containers/create?platform=linux/arm64", {"Image": "busybox"})
        assert engine.containers.records[reply.json["Id"]].options.platform == platform
