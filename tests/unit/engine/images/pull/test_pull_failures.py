"""Pulls that are broken, cancelled or killed: nothing half is seen, nothing that came is lost."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proa.errors import Internal, InvalidArgument, KernelError, NotFound, ProaError, Unavailable, Unsupported
from proa.oci.image_config import chain_ids
from rig import images
from rig.faults import FaultyProxy, answer, corrupt, replace, stall, truncate
from rig.pulling import NOISE, Stage, big_blob, three_layers
from rig.registry import Registry as RealRegistry
from rig.trees import Tree


async def test_one_of_two_pulls_can_be_cancelled(stage: Stage, proxy: FaultyProxy, origin: RealRegistry) -> None:
    image = origin.push(three_layers(), "cancel", "latest")
    proxy.fault(f"blobs/{big_blob(image)}", stall(100_000))
    name = f"{proxy.address}/cancel"
    first, second = (asyncio.create_task(stage.pull(name)) for _ in range(2))
    await asyncio.sleep(0.2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second
    assert stage.images.get(name).id == image.config_digest


async def test_a_cancelled_pull_is_taken_up_later(stage: Stage, proxy: FaultyProxy, origin: RealRegistry) -> None:
    image = origin.push(three_layers(), "later", "latest")
    big = big_blob(image)
    proxy.fault(f"blobs/{big}", stall(200_000))
    name = f"{proxy.address}/later"
    pull = asyncio.create_task(stage.pull(name))
    for _ in range(500):
        if stage.partials() and max(stage.partials()) >= 200_000:
            break
        await asyncio.sleep(0.01)
    pull.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pull
    assert stage.unfinished() == []
    assert stage.images.list() == []
    await stage.pull(name)
    ranges = [seen.headers.get("range") for seen in proxy.requests if big in seen.path]
    assert ranges == [None, "bytes=200000-"]


async def test_damage_of_an_earlier_attempt_is_repaired(
    stage: Stage, proxy: FaultyProxy, origin: RealRegistry
) -> None:
    image = origin.push(three_layers(), "damaged", "latest")
    big = big_blob(image)
    with stage.content.ingest(big) as ingest:
        ingest.write(b"not what belongs here")
    await stage.pull(f"{proxy.address}/damaged")
    ranges = [seen.headers.get("range") for seen in proxy.requests if big in seen.path]
    assert ranges == ["bytes=21-", None]
    assert stage.content.verify(big)


async def test_a_blob_that_rotted_is_fetched_again(stage: Stage, proxy: FaultyProxy, origin: RealRegistry) -> None:
    base = images.layer(Tree().file("noise", NOISE))
    origin.push(images.build([base]), "rot", "1")
    two = origin.push(images.build([Tree().file("below"), base]), "rot", "2")
    await stage.pull(f"{proxy.address}/rot:1")
    blob = big_blob(two)
    with stage.content.path(blob).open("r+b") as file:
        file.seek(300_000)
        file.write(b"rotten")
    await stage.pull(f"{proxy.address}/rot:2")
    assert proxy.count(f"blobs/{blob}") == 2
    assert stage.content.verify(blob)


BROKEN: dict[str, tuple[Callable[[], Any], type[ProaError], str]] = {
    "corrupt": (
        lambda: corrupt(100_000),
        Internal,
        "filesystem layer verification failed for digest sha256:",
    ),
    "corrupt header": (lambda: corrupt(0), Internal, "filesystem layer verification failed for digest"),
    "cut for ever": (lambda: truncate(0), Unavailable, "unexpected EOF"),
    "too long": (lambda: replace(lambda b: b + b"x"), Internal, "larger than the announced"),
    "forbidden": (lambda: answer(403), NotFound, "pull access denied for"),
    "missing": (lambda: answer(404), NotFound, "not found"),
    "failing": (lambda: answer(500), Unavailable, "received unexpected HTTP status: 500"),
    "stalled": (lambda: stall(0), Unavailable, r"no data for 0\.5 seconds"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_layer_leaves_nothing_visible(
    stage: Stage, proxy: FaultyProxy, origin: RealRegistry, name: str
) -> None:
    handler, error, text = BROKEN[name]
    image = origin.push(three_layers(), "broken", "latest")
    big = big_blob(image)
    proxy.fault(f"blobs/{big}", handler(), times=99)
    with pytest.raises(error, match=text) as caught:
        await stage.pull(f"{proxy.address}/broken")
    assert "\n" not in caught.value.message
    assert stage.images.list() == []
    assert stage.database.rows("SELECT name FROM image_names") == []
    assert not stage.layers.has(chain_ids(image.diff_ids)[0])
    assert not stage.content.has(big)
    proxy.faults.clear()
    await stage.pull(f"{proxy.address}/broken")
    assert stage.images.get(f"{proxy.address}/broken").id == image.config_digest


async def test_a_layer_that_is_not_what_the_configuration_says(stage: Stage, origin: RealRegistry) -> None:
    good = images.layer(Tree().file("x"))
    lying = images.Layer(good.blob, "gzip", images.digest(b"something else"))
    origin.push(images.build([lying]), "lying", "latest")
    with pytest.raises(Internal, match=r"layers from manifest don't match image configuration: sha256:.* unpacks"):
        await stage.pull(f"{origin.address}/lying")
    assert stage.images.list() == []


async def test_a_hostile_layer_is_refused(stage: Stage, origin: RealRegistry, tmp_path: Path) -> None:
    origin.push(images.build([Tree().symlink("out", "/"), Tree().file("../../escaped", "x")]), "evil", "latest")
    with pytest.raises(InvalidArgument, match="escaped"):
        await stage.pull(f"{origin.address}/evil")
    assert list(tmp_path.rglob("escaped")) == []
    assert stage.images.list() == []


async def test_what_can_not_run_here_is_refused(stage: Stage, proxy: FaultyProxy, origin: RealRegistry) -> None:
    image = origin.push(images.build([Tree().file("x")]), "windows", "latest")
    swapped = image.blobs[image.config_digest].replace(b'"linux"', b'"plan9"')
    document = image.document.replace(image.config_digest.encode(), images.digest(swapped).encode())
    proxy.fault("manifests", replace(lambda _: document, Docker_Content_Digest=images.digest(document)), times=9)
    proxy.fault("blobs", answer(200, swapped))
    with pytest.raises(Unsupported, match='operating system "plan9" when requesting "linux"'):
        await stage.pull(f"{proxy.address}/windows")


@pytest.fixture
def small_disk(tmp_path: Path, root: None) -> Iterator[Path]:
    """A file system of 1.2 MB, too small for an image of 0.6 MB and its blob."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def enlarge(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=10m", str(disk)], check=True)


async def test_a_full_disk_gives_back_what_it_took(small_disk: Path, origin: RealRegistry) -> None:
    image = origin.push(three_layers(), "full", "latest")
    stage = Stage(small_disk)
    with pytest.raises(KernelError, match=r"no space left on device") as caught:
        await stage.pull(f"{origin.address}/full")
    assert caught.value.errno == errno.ENOSPC
    assert (stage.partials(), stage.unfinished()) == ([], [])
    assert stage.images.store.layers.all() == []
    enlarge(small_disk)
    await stage.pull(f"{origin.address}/full")
    assert stage.images.get(f"{origin.address}/full").id == image.config_digest
    await stage.close()


PROGRAM = """
import asyncio, sys
from pathlib import Path
from proa.content import ContentStore
from proa.engine.database import Database
from proa.engine.events import Events
from proa.engine.images.images import Images
from proa.engine.images.pull import Puller
from proa.registry import Registry
from proa.snapshots import Layers

async def main(root, name):
    database, content = Database(root / "proa.db"), ContentStore(root / "blobs")
    layers, events = Layers(root / "layers"), Events()
    images = Images(database, content, layers, events, tuple)
    images.sweep()
    puller = Puller(images=images, database=database, events=events, content=content, layers=layers,
                    registry=Registry(), max_concurrent_downloads=3)
    print("ready", flush=True)
    await puller.pull(name, progress=lambda step: print(step.status, flush=True))

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


@pytest.mark.parametrize(
    "moment",
    ["ready", "Pulling from", "Pulling fs layer", "Downloading", "Verifying", "Download complete", "Extracting",
     "Pull complete", "Digest", "Status"],
)  # fmt: skip
async def test_a_killed_engine_leaves_whole_images_or_none(
    tmp_path: Path, origin: RealRegistry, moment: str
) -> None:
    image = origin.push(three_layers(), "killed", "latest")
    name = f"{origin.address}/killed:latest"
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(tmp_path), name,
        env={"PYTHONPATH": os.pathsep.join(sys.path)}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert victim.stdout is not None
    while not (await victim.stdout.readline()).startswith(moment.encode()):
        assert not victim.stdout.at_eof()
    victim.kill()
    await victim.communicate()
    stage = Stage(tmp_path)
    stage.images.sweep()
    assert stage.unfinished() == []
    found = stage.images.list()
    assert [each.id for each in found] in ([], [image.config_digest])
    assert all(stage.layers.has(chain_id) for each in found for chain_id in each.layers)
    assert all(stage.content.verify(digest) for digest, _ in stage.content.walk())
    await stage.pull(name)
    assert stage.images.get(name).names == [name]
    assert (stage.layers.directory(stage.images.get(name).layers[0]) / "noise").read_bytes() == NOISE
    await stage.close()


async def test_what_an_earlier_engine_left_is_used(
    tmp_path: Path, proxy: FaultyProxy, origin: RealRegistry
) -> None:
    image = origin.push(three_layers(), "restart", "latest")
    big = big_blob(image)
    proxy.fault(f"blobs/{big}", truncate(150_000), times=1)
    proxy.fault(f"blobs/{big}", answer(500), times=99)
    first = Stage(tmp_path)
    with pytest.raises(Unavailable):
        await first.pull(f"{proxy.address}/restart")
    await first.close()
    proxy.faults.clear()
    asked = len(proxy.requests)
    second = Stage(tmp_path)
    second.images.sweep()
    await second.pull(f"{proxy.address}/restart")
    fetched = [(seen.path.rpartition("/")[2], seen.headers.get("range")) for seen in proxy.requests[asked:]]
    assert (big, "bytes=150000-") in fetched
    assert sum("blobs" in seen.path for seen in proxy.requests[asked:]) == 2  # the configuration and the rest
    await second.close()


async def test_a_lost_layer_is_unpacked_again_or_pulled_again(
    stage: Stage, proxy: FaultyProxy, origin: RealRegistry
) -> None:
    image = origin.push(three_layers(), "lost", "latest")
    name = f"{proxy.address}/lost"
    await stage.pull(name)
    chain = chain_ids(image.diff_ids)
    asked = len(proxy.requests)
    for chain_id in chain[:2]:
        stage.layers.remove(chain_id)
    assert await stage.puller.repair() == []
    assert (stage.layers.directory(chain[0]) / "noise").read_bytes() == NOISE
    for chain_id in chain:
        stage.layers.remove(chain_id)
    base = next(layer for layer in stage.images.store.layers.all() if layer.chain_id == chain[0])
    stage.content.remove(base.blob_digest)
    assert await stage.puller.repair() == chain
    assert len(proxy.requests) == asked
    said = await stage.pull(name)
    assert all(stage.layers.has(chain_id) for chain_id in chain)
    assert said[-1].status == f"Status: Image is up to date for {name}:latest"


async def test_stop_ends_what_runs(stage: Stage, proxy: FaultyProxy, origin: RealRegistry) -> None:
    image = origin.push(three_layers(), "stopped", "latest")
    big = big_blob(image)
    proxy.fault(f"blobs/{big}", stall(100_000))
    pull = asyncio.create_task(stage.pull(f"{proxy.address}/stopped"))
    for _ in range(1000):
        if proxy.count(big):
            break
        await asyncio.sleep(0.01)
    await stage.puller.stop()
    with pytest.raises(asyncio.CancelledError):
        await pull


async def test_a_layer_of_a_lying_mirror(stage: Stage, proxy: FaultyProxy, origin: RealRegistry) -> None:
    """It is found out when all of it is here; then another server is asked, and the user hears of it."""
    image = origin.push(three_layers(), "lies", "latest")
    big = big_blob(image)
    proxy.fault(f"blobs/{big}", corrupt(300_000), times=99)
    place = stage.places / "reg.example"
    place.mkdir(parents=True)
    (place / "hosts.toml").write_text(f'server = "{origin.url}"\n[host."{proxy.url}"]\n')
    said = await stage.pull("reg.example/lies")
    assert stage.images.get("reg.example/lies").id == image.config_digest
    assert stage.content.verify(big)
    text = f"mirror {proxy.address} is not asked any more: content of {big} from {proxy.address} is wrong"
    assert text in [each.status for each in said]
    assert stage.unfinished() == []
