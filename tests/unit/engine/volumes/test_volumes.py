"""Volumes: creating, listing, removing, filling, and what is left after a kill at every step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proa.engine.database import Database
from proa.engine.events import Events
from proa.engine.options import ContainerOptions
from proa.engine.records import Container, MountPoint
from proa.engine.volumes.volumes import ANONYMOUS_LABEL, Volumes
from proa.errors import Conflict, InvalidArgument, KernelError, NotFound, ProaError, Unsupported
from proa.ids import FULL_LENGTH
from proa.snapshots.trash import Trash


class Rig:
    """Volumes that can be closed and opened again, as an engine restarts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.containers: list[Container] = []
        self.open()

    def open(self) -> None:
        self.database = Database(self.directory / "proa.db")
        self.trash = Trash(self.directory / "trash")
        self.events = Events()
        self.stream = self.events.subscribe()
        self.volumes = Volumes(
            self.directory / "volumes", self.database, self.events, self.trash, lambda: self.containers
        )

    def close(self) -> None:
        self.trash.close()
        self.database.close()

    def reopen(self) -> Volumes:
        self.close()
        self.open()
        return self.volumes

    def use(self, name: str) -> Container:
        container = Container(
            id=f"{len(self.containers):x}" * FULL_LENGTH, name="c", created=0, image_id="", layers=[],
            options=ContainerOptions(image="x"),
            mounts=[MountPoint(type="volume", destination="/data", name=name)],
        )  # fmt: skip
        self.containers.append(container)
        return container

    def told(self) -> list[tuple[str, str, str]]:
        return [(event.type, event.action, event.id) for event in self.stream._unread]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.trash.flush()
    made.close()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """What an image has at the volume's place."""
    directory = tmp_path / "image"
    (directory / "sub").mkdir(parents=True)
    (directory / "file").write_text("from the image")
    (directory / "sub" / "link").symlink_to("../file")
    os.chown(directory, 70, 71)
    directory.chmod(0o750)
    return directory


def test_a_named_volume(rig: Rig) -> None:
    volume = rig.volumes.create("data", labels={"a": "b"})
    assert (volume.name, volume.driver, volume.labels, volume.anonymous) == ("data", "local", {"a": "b"}, False)
    assert rig.volumes.path("data") == rig.volumes.mountpoint("data") == rig.directory / "volumes/data/_data"
    assert rig.volumes.path("data").stat().st_mode & 0o7777 == 0o755
    assert rig.volumes.get("data") == volume
    assert rig.told() == [("volume", "create", "data")]


def test_creating_again_is_the_same_volume(rig: Rig) -> None:
    first = rig.volumes.create("data", labels={"a": "b"})
    assert rig.volumes.create("data", "local", labels={"c": "d"}) == first
    assert len(rig.told()) == 1
    assert rig.reopen().create("data") == first


def test_an_anonymous_volume(rig: Rig) -> None:
    volume = rig.volumes.create()
    assert len(volume.name) == FULL_LENGTH
    assert volume.labels == {ANONYMOUS_LABEL: ""}
    assert volume.anonymous
    assert rig.volumes.create().name != volume.name


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "a"}, InvalidArgument, "create a: volume name is too short"),
        ({"name": "../x"}, InvalidArgument, 'create ../x: "../x" includes invalid characters'),
        ({"name": "ab", "driver": "nfs"}, NotFound, 'create ab: error looking up volume plugin nfs: plugin "nfs"'),
        ({"name": "ab", "options": {"x": "y"}}, InvalidArgument, 'create ab: invalid option: "x"'),
        ({"name": "ab", "options": {"type": "nfs"}}, InvalidArgument, 'missing required option: "device"'),
        ({"name": "ab", "options": {"device": "/x"}}, InvalidArgument, 'missing required option: "type"'),
        ({"name": "ab", "options": {"size": "10g"}}, Unsupported, "no quota support"),
        ({"name": "ab", "options": {"type": "tm\0", "device": "x"}}, InvalidArgument, "contains a null byte"),
        ({"name": "ab", "options": {"type": "none", "device": "x", "o": "bind"}}, InvalidArgument, "absolute"),
    ],
)
def test_what_cannot_be_created(
    rig: Rig, arguments: dict[str, object], error: type[ProaError], message: str
) -> None:
    with pytest.raises(error) as caught:
        rig.volumes.create(**arguments)  # type: ignore[arg-type]
    assert message in caught.value.message
    assert rig.volumes.list() == []
    assert list((rig.directory / "volumes").iterdir()) == []


def test_a_bound_directory(rig: Rig, image: Path) -> None:
    place = rig.directory / "place"
    place.mkdir()
    options = {"type": "none", "o": "bind", "device": str(place)}
    rig.volumes.create("data", options=options)
    assert rig.volumes.path("data") == place
    assert rig.volumes.mountpoint("data") != place
    assert rig.volumes.is_fresh("data")
    rig.volumes.fill("data", image)
    assert (place / "file").read_text() == "from the image"
    assert not rig.volumes.is_fresh("data")
    assert rig.volumes.create("data", options=options).options == options
    assert rig.volumes.create("data").options == options
    with pytest.raises(Conflict, match="create data: the volume exists with other options"):
        rig.volumes.create("data", options={**options, "device": "/elsewhere"})
    rig.volumes.remove("data")
    assert (place / "file").exists()


def test_a_bound_directory_that_is_missing(rig: Rig) -> None:
    rig.volumes.create("data", options={"type": "none", "o": "bind", "device": "/does/not/exist"})
    assert not rig.volumes.is_fresh("data")


def test_listing(rig: Rig) -> None:
    for name, labels in (("web-data", {"tier": "web"}), ("db-data", {"tier": "db", "keep": ""}), ("cache", {})):
        rig.volumes.create(name, labels=labels)
    rig.use("db-data")

    def names(**filters: list[str]) -> str:
        return " ".join(volume.name for volume in rig.volumes.list(filters))

    assert names() == "cache db-data web-data"
    assert names(dangling=["true"]) == "cache web-data"
    assert names(dangling=["false"]) == "db-data"
    assert names(label=["tier"]) == "db-data web-data"
    assert names(label=["tier=db", "keep"]) == "db-data"
    assert names(name=["data"]) == "db-data web-data"
    assert names(name=["^web", "che$"]) == "cache web-data"
    assert names(driver=["local"]) == "cache db-data web-data"
    assert names(driver=["nfs"]) == ""
    with pytest.raises(InvalidArgument, match="invalid filter 'size'"):
        names(size=["1"])


def test_removing(rig: Rig) -> None:
    rig.volumes.create("data")
    (rig.volumes.path("data") / "file").write_text("x")
    rig.volumes.remove("data")
    assert rig.volumes.list() == []
    assert not (rig.directory / "volumes" / "data").exists()
    assert rig.told()[-1] == ("volume", "destroy", "data")
    with pytest.raises(NotFound, match=r"^get data: no such volume$"):
        rig.volumes.remove("data")
    rig.volumes.remove("data", force=True)
    with pytest.raises(NotFound, match=r"^get data: no such volume$"):
        rig.volumes.path("data")
    rig.volumes.create("data")
    assert list(rig.volumes.path("data").iterdir()) == []


def test_what_is_in_use_stays(rig: Rig) -> None:
    rig.volumes.create("data")
    first, second = rig.use("data"), rig.use("data")
    for force in (False, True):
        with pytest.raises(Conflict) as caught:
            rig.volumes.remove("data", force=force)
        assert caught.value.message == f"remove data: volume is in use - [{first.id}, {second.id}]"
    assert not rig.volumes.remove_unused("data")
    assert rig.volumes.path("data").is_dir()
    rig.containers.clear()
    assert rig.volumes.remove_unused("data")
    assert rig.volumes.remove_unused("data")
    assert rig.volumes.list() == []


def test_a_failing_disk_is_explained(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(KernelError, match="create volume data: no space left on device"):
        rig.volumes.create("data")
    monkeypatch.undo()
    assert rig.volumes.list() == []
    rig.volumes.create("data")
    monkeypatch.setattr(rig.trash, "discard", fail)
    with pytest.raises(KernelError, match="remove volume data: no space left on device"):
        rig.volumes.remove("data")
    assert rig.volumes.get("data")


def test_filling(rig: Rig, image: Path) -> None:
    rig.volumes.create("data")
    assert rig.volumes.is_fresh("data")
    rig.volumes.fill("data", image)
    path = rig.volumes.path("data")
    assert (path / "file").read_text() == "from the image"
    assert os.readlink(path / "sub" / "link") == "../file"
    status = path.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (70, 71, 0o750)
    assert status.st_mtime_ns == image.stat().st_mtime_ns
    assert [entry.name for entry in path.parent.iterdir()] == ["_data"]
    assert not rig.volumes.is_fresh("data")


def test_a_volume_with_contents_is_left_alone(rig: Rig, image: Path) -> None:
    rig.volumes.create("data")
    (rig.volumes.path("data") / "mine").write_text("mine")
    assert not rig.volumes.is_fresh("data")
    rig.volumes.fill("data", image)
    assert [entry.name for entry in rig.volumes.path("data").iterdir()] == ["mine"]


def test_filling_from_another_thread(rig: Rig, image: Path) -> None:
    rig.volumes.create("data")
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(rig.volumes.fill, "data", image) for _ in range(8)]:
            done.result()
    assert sorted(entry.name for entry in rig.volumes.path("data").iterdir()) == ["file", "sub"]


KILLED = """
import os, signal, sys
from pathlib import Path
from proa.engine.database import Database
from proa.engine.events import Events
from proa.engine.volumes.volumes import Volumes
from proa.snapshots.trash import Trash

directory, action, deadly, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])

def trace(event, arguments):
    global count
    if event == deadly and armed:
        count -= 1
        if count < 0:
            os.kill(os.getpid(), signal.SIGKILL)

armed = False
sys.addaudithook(trace)
volumes = Volumes(
    directory / "volumes", Database(directory / "proa.db"), Events(), Trash(directory / "trash"), tuple
)
armed = True
if action == "create":
    volumes.create("data")
elif action == "remove":
    volumes.remove("data")
else:
    volumes.fill("data", directory / "image")
print("done")
"""


def killed(directory: Path, action: str, event: str, count: int) -> bool:
    """Do something in a process that dies at the `count`th of an audited call; return whether it did."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    arguments = [sys.executable, "-c", KILLED, str(directory), action, event, str(count)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


@pytest.mark.parametrize(
    ("action", "events"),
    [("create", ["os.mkdir"]), ("remove", ["os.rename"]), ("fill", ["os.mkdir", "os.rename", "os.symlink"])],
)
def test_a_kill_at_any_step_leaves_all_or_nothing(rig: Rig, image: Path, action: str, events: list[str]) -> None:
    prepare: dict[str, Callable[[], object]] = {
        "create": lambda: rig.volumes.remove("data", force=True),
        "remove": lambda: (rig.volumes.create("data").name, (rig.volumes.path("data") / "x").touch()),
        "fill": lambda: (rig.volumes.remove("data", force=True), rig.volumes.create("data")),
    }
    kills = 0
    for event in events:
        for count in range(20):
            prepare[action]()
            rig.close()
            died = killed(rig.directory, action, event, count)
            rig.open()
            kills += died
            there = [volume.name for volume in rig.volumes.list()]
            entries = [path.name for path in (rig.directory / "volumes").iterdir()]
            assert there == entries, "records and directories agree"
            if action == "fill":
                rig.volumes.fill("data", image)
                assert sorted(path.name for path in rig.volumes.path("data").iterdir()) == ["file", "sub"]
                assert not rig.volumes.is_fresh("data")
                assert rig.volumes.path("data").stat().st_uid == 70
            elif there:  # whole: it can be used and removed
                rig.volumes.path("data").joinpath("new").touch()
                rig.volumes.remove("data")
            if not died:
                break
    assert kills >= {"create": 2, "remove": 1, "fill": 5}[action]


def test_a_directory_without_record_is_adopted(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.volumes.create("data", labels={"a": "b"})
    (rig.volumes.path("data") / "precious").write_text("x")
    (rig.directory / "volumes" / "stray").mkdir()
    (rig.directory / "volumes" / "-bad" / "_data").mkdir(parents=True)
    rig.database.execute("DELETE FROM volumes")
    (volume,) = rig.reopen().list()
    assert (volume.name, volume.labels) == ("data", {})
    assert (rig.volumes.path("data") / "precious").exists()
    assert "data has a directory but no record" in caplog.text
    assert rig.reopen().list() == [volume]
