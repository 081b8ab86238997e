"""aiodocker: the asyncio client's main uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiodocker
import pytest
from aiodocker.exceptions import DockerError

from rig.engine import Engine
from rig.trees import Tree

BUSYBOX = "busybox"


@pytest.fixture
async def aio(engine: Engine) -> AsyncIterator[aiodocker.Docker]:
    async with aiodocker.Docker(url=engine.host) as client:
        yield client


async def test_run(aio: aiodocker.Docker) -> None:
    config = {"Image": BUSYBOX, "Cmd": ["sh", "-c", "echo out; exit 3"]}
    container = await aio.containers.run(config, name="aio")
    assert (await container.wait())["StatusCode"] == 3
    assert await container.log(stdout=True) == ["out\n"]
    assert (await container.show())["Name"] == "/aio"
    assert [one.id for one in await aio.containers.list(all=True)] == [container.id]
    await container.delete()
    with pytest.raises(DockerError, match="No such container") as failed:
        await aio.containers.get("aio")
    assert failed.value.status == 404


async def test_life(aio: aiodocker.Docker) -> None:
    config = {"Image": BUSYBOX, "Cmd": ["sleep", "1000"], "StopSignal": "KILL"}
    container = await aio.containers.create_or_replace("kept", config)
    await container.start()
    await container.rename("other")
    await container.pause()
    await container.unpause()
    assert (await container.stats(stream=False))[0]["pids_stats"]["current"] == 1
    await container.restart()
    await container.stop()
    await container.start()
    await container.kill(signal="KILL")
    await container.delete(force=True)


async def test_following_logs(aio: aiodocker.Docker) -> None:
    script = "for i in 1 2 3; do echo $i; sleep 0.05; done"
    container = await aio.containers.run({"Image": BUSYBOX, "Cmd": ["sh", "-c", script]})
    assert [line async for line in container.log(stdout=True, stderr=True, follow=True)] == ["1\n", "2\n", "3\n"]


async def test_attach(aio: aiodocker.Docker) -> None:
    config = {"Image": BUSYBOX, "Cmd": ["sh", "-c", "read line; echo got $line"], "OpenStdin": True}
    container = await aio.containers.create(config)
    async with container.attach(stdin=True, stdout=True, stderr=True) as stream:
        await container.start()
        await stream.write_in(b"hello\n")
        message = await asyncio.wait_for(stream.read_out(), 20)
        assert message is not None and (message.stream, message.data) == (1, b"got hello\n")
        assert await asyncio.wait_for(stream.read_out(), 20) is None


async def test_exec(aio: aiodocker.Docker) -> None:
    container = await aio.containers.run({"Image": BUSYBOX, "Cmd": ["sleep", "1000"]})
    execution = await container.exec(["sh", "-c", "echo out; echo err >&2; exit 4"])
    said = []
    async with execution.start(detach=False) as stream:
        while message := await asyncio.wait_for(stream.read_out(), 20):
            said.append((message.stream, message.data))
    assert sorted(said) == [(1, b"out\n"), (2, b"err\n")]
    assert (await execution.inspect())["ExitCode"] == 4
    terminal = await container.exec(["sh", "-c", "read x; stty size"], stdin=True, tty=True)
    async with terminal.start(detach=False) as stream:
        await terminal.resize(h=10, w=20)
        await stream.write_in(b"\n")
        data = b""
        while message := await asyncio.wait_for(stream.read_out(), 20):
            data += message.data
    assert data.endswith(b"10 20\r\n")


async def test_files(aio: aiodocker.Docker) -> None:
    container = await aio.containers.create({"Image": BUSYBOX, "Cmd": ["true"]})
    await container.put_archive("/tmp", Tree().file("f", "inside").tar())
    archive = await container.get_archive("/tmp/f")
    file = archive.extractfile("f")
    assert file is not None and file.read() == b"inside"


async def test_images(aio: aiodocker.Docker) -> None:
    messages = await aio.images.pull("busybox", tag="1.36")
    assert messages[-1]["status"].startswith("Status: ")
    assert (await aio.images.inspect("busybox:1.36"))["RepoTags"] == ["busybox:1.36"]
    await aio.images.tag("busybox:1.36", "aio", tag="1")
    assert {"Untagged": "aio:1"} in await aio.images.delete("aio:1")
    assert len(await aio.images.history("busybox:1.36")) >= 1
    await aio.images.delete("busybox:1.36")
    with pytest.raises(DockerError) as failed:
        await aio.images.inspect("busybox:1.36")
    assert failed.value.status == 404


async def test_volumes_and_networks(aio: aiodocker.Docker) -> None:
    volume = await aio.volumes.create({"Name": "aio", "Labels": {"a": "b"}})
    assert (await volume.show())["Labels"] == {"a": "b"}
    assert [row["Name"] for row in (await aio.volumes.list())["Volumes"]] == ["aio"]
    await volume.delete()
    assert {"bridge", "host", "none"} <= {row["Name"] for row in await aio.networks.list()}
    assert (await (await aio.networks.get("bridge")).show())["Driver"] == "bridge"


async def test_events(aio: aiodocker.Docker) -> None:
    seen = aio.events.subscribe()
    await asyncio.sleep(0.3)  # the client connects in the background and does not say when
    container = await aio.containers.run({"Image": BUSYBOX, "Cmd": ["true"]}, name="heard")
    actions = []
    while "die" not in actions:
        event = await asyncio.wait_for(seen.get(), 20)
        assert event is not None
        if event["Type"] == "container":
            actions.append(event["Action"])
    assert actions == ["create", "start", "die"]
    await container.delete()
    await aio.events.stop()


async def test_system(aio: aiodocker.Docker) -> None:
    assert (await aio.version())["ApiVersion"] == "1.51"
    assert (await aio.system.info())["OSType"] == "linux"
