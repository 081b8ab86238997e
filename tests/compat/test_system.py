"""docker-py: the engine itself, networks that are always there, and answers to what is not."""

from __future__ import annotations

import docker
import pytest
from docker.errors import APIError, NotFound

from rig.engine import Engine


def test_ping_version_and_info(sdk: docker.DockerClient) -> None:
    assert sdk.ping()
    version, info = sdk.version(), sdk.info()
    assert version["ApiVersion"] == "1.51" and version["Os"] == "linux"
    assert (info["OSType"], info["Swarm"]["LocalNodeState"]) == ("linux", "inactive")
    assert info["Images"] >= 1 and info["Containers"] == 0 and info["ServerVersion"] == version["Version"]
    assert {"local"} <= set(info["Plugins"]["Volume"]) and {"json-file"} <= set(info["Plugins"]["Log"])


def test_negotiation(engine: Engine) -> None:
    with docker_client(engine) as client:
        assert client.api._version == "1.51"
    with docker_client(engine, version="1.30") as client:
        assert client.version(api_version=False)["ApiVersion"] == "1.51"
    with docker_client(engine, version="1.99") as client, pytest.raises(APIError, match="is too new"):
        client.version()


def docker_client(engine: Engine, **options: str) -> docker.DockerClient:
    import contextlib

    return contextlib.closing(docker.DockerClient(base_url=engine.host, **options))


def test_disk_usage(sdk: docker.DockerClient) -> None:
    container = sdk.containers.create("busybox", "true", volumes=["used:/used"])
    seen = sdk.df()
    assert [row["Id"] for row in seen["Containers"]] == [container.id]
    assert [row["UsageData"]["RefCount"] for row in seen["Volumes"]] == [1]
    assert any(row["RepoTags"] == ["busybox:latest"] and row["Containers"] == 1 for row in seen["Images"])


def test_networks(sdk: docker.DockerClient) -> None:
    assert {network.name for network in sdk.networks.list()} >= {"bridge", "host", "none"}
    (bridge,) = sdk.networks.list(names=["bridge"])
    container = sdk.containers.run("busybox", "sleep 1000", detach=True)
    bridge.reload()
    assert bridge.containers == [container]
    assert sdk.networks.list(filters={"driver": "host"})[0].name == "host"
    with pytest.raises(NotFound, match="network nosuch not found"):
        sdk.networks.get("nosuch")
    with pytest.raises(APIError, match="bridge is a pre-defined network and cannot be removed"):
        bridge.remove()


def test_swarm_is_not_there(sdk: docker.DockerClient) -> None:
    with pytest.raises(APIError, match="This node is not a swarm manager") as failed:
        sdk.services.list()
    assert failed.value.status_code == 503
    assert sdk.plugins.list() == []
