"""docker-py: archives, binds, mounts and volumes."""

from __future__ import annotations

import io
import stat
import tarfile
from pathlib import Path

import docker
import pytest
from docker.errors import APIError, NotFound
from docker.types import DriverConfig, Mount

from rig.trees import Tree

BUSYBOX = "busybox"


def contents(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {
            member.name: file.read() if member.isreg() and (file := opened.extractfile(member)) else b""
            for member in opened.getmembers()
        }


def test_a_file_comes_out(sdk: docker.DockerClient) -> None:
    container = sdk.containers.create(BUSYBOX, ["sh", "-c", "mkdir /d; echo data >/d/f; chmod 640 /d/f"])
    container.start()
    container.wait()
    pieces, found = container.get_archive("/d/f")
    assert contents(b"".join(pieces)) == {"f": b"data\n"}
    assert (found["name"], found["size"], found["mode"], found["linkTarget"]) == ("f", 5, 0o640, "")
    pieces, found = container.get_archive("/d", encode_stream=True)
    assert contents(b"".join(pieces)) == {"d": b"", "d/f": b"data\n"}
    assert found["mode"] == (1 << 31 | 0o755), "in Go's bits"
    with pytest.raises(NotFound, match="Could not find the file /nosuch in container"):
        container.get_archive("/nosuch")


def test_files_go_in(sdk: docker.DockerClient) -> None:
    container = sdk.containers.create(BUSYBOX, ["sh", "-c", "cat /put/f /put/d/g; stat -c %u:%a /put/f"])
    with pytest.raises(NotFound, match="Could not find the file /put in container"):
        container.put_archive("/put", Tree().file("f", "x").tar())
    assert container.put_archive("/", Tree().directory("put").tar())
    tree = Tree().file("f", "one\n", 0o600, uid=7).directory("d").file("d/g", "two\n")
    assert container.put_archive("/put", tree.tar())
    container.start()
    container.wait()
    assert container.logs() == b"one\ntwo\n7:600\n"


def test_export(sdk: docker.DockerClient) -> None:
    container = sdk.containers.create(BUSYBOX, "true")
    container.put_archive("/", Tree().file("exported", "x").tar())
    exported = contents(b"".join(container.export()))
    assert exported["exported"] == b"x" and "bin/busybox" in exported


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_binds(sdk: docker.DockerClient, tmp_path: Path, mode: str) -> None:
    (tmp_path / "there").write_text("there\n")
    binds = {str(tmp_path): {"bind": "/here", "mode": mode}}
    container = sdk.containers.run(
        BUSYBOX, ["sh", "-c", "cat /here/there; touch /here/new"], detach=True, volumes=binds
    )
    assert container.wait()["StatusCode"] == (0 if mode == "rw" else 1)
    assert container.logs(stderr=False) == b"there\n"
    assert (tmp_path / "new").exists() is (mode == "rw")
    (seen,) = container.attrs["Mounts"]
    assert (seen["Destination"], seen["Source"], seen["RW"]) == ("/here", str(tmp_path), mode == "rw")


def test_mounts(sdk: docker.DockerClient, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("there\n")
    mounts = [
        Mount("/bound", str(tmp_path), type="bind", read_only=True, propagation="rprivate"),
        Mount("/kept", "kept", labels={"a": "b"}, driver_config=DriverConfig("local")),
        Mount("/scratch", None, type="tmpfs", tmpfs_size="1m", tmpfs_mode=0o1700),
    ]
    script = "cat /bound/there; touch /bound/x || echo refused; stat -c %a /scratch; df -k /scratch | tail -n 1"
    said = sdk.containers.run(BUSYBOX, ["sh", "-c", script], mounts=mounts, remove=True).split()
    assert said[:3] == [b"there", b"refused", b"1700"] and said[4] == b"1024"
    assert sdk.volumes.get("kept").attrs["Labels"] == {"a": "b"}
    with pytest.raises(APIError, match="bind source path does not exist"):
        sdk.containers.create(BUSYBOX, "true", mounts=[Mount("/x", "/no/such/path", type="bind")])


def test_volumes_of_others(sdk: docker.DockerClient) -> None:
    first = sdk.containers.create(BUSYBOX, "true", volumes=["/anonymous"], name="first")
    second = sdk.containers.create(BUSYBOX, "true", volumes_from=["first:ro"])
    second.start()
    second.wait()
    second.reload()
    (theirs,), (ours,) = second.attrs["Mounts"], first.attrs["Mounts"]
    assert (theirs["Name"], theirs["RW"], ours["RW"]) == (ours["Name"], False, True)
    first.remove(v=True)
    assert [one.name for one in sdk.volumes.list()] == [ours["Name"]], "it is in use"
    second.remove(v=True)
    assert sdk.volumes.list() == []


def test_volumes(sdk: docker.DockerClient) -> None:
    volume = sdk.volumes.create("kept", labels={"x": "y"})
    assert volume.attrs["Labels"] == {"x": "y"} and volume.attrs["Driver"] == "local"
    assert sdk.volumes.create("kept").attrs["CreatedAt"] == volume.attrs["CreatedAt"]
    sdk.containers.run(
        BUSYBOX, "sh -c 'echo v >/d/f'", remove=True, volumes={"kept": {"bind": "/d", "mode": "rw"}}
    )
    user = sdk.containers.create(BUSYBOX, "cat /d/f", volumes=["kept:/d:ro"])
    assert sdk.containers.run(BUSYBOX, "cat /d/f", remove=True, volumes=["kept:/d:ro"]) == b"v\n"
    with pytest.raises(APIError, match="volume is in use") as failed:
        volume.remove()
    assert failed.value.status_code == 409
    user.remove()
    for filters, expected in (
        ({"label": "x=y"}, ["kept"]), ({"name": "kep"}, ["kept"]), ({"dangling": True}, ["kept"]),
        ({"driver": "local"}, ["kept"]), ({"label": "x=z"}, []),
    ):  # fmt: skip
        assert [one.name for one in sdk.volumes.list(filters=filters)] == expected, filters
    assert Path(volume.attrs["Mountpoint"]).joinpath("f").read_text() == "v\n"
    assert stat.S_ISDIR(Path(volume.attrs["Mountpoint"]).stat().st_mode)
    volume.remove(force=True)
    with pytest.raises(NotFound):
        sdk.volumes.get("kept")
    with pytest.raises(NotFound, match="no such volume"):
        volume.remove()


def test_wrong_volumes(sdk: docker.DockerClient) -> None:
    with pytest.raises(NotFound, match='plugin "nosuch" not found'):
        sdk.volumes.create("x1", driver="nosuch")
    with pytest.raises(APIError, match="includes invalid characters for a local volume name"):
        sdk.volumes.create("a b")
    with pytest.raises(APIError, match=r"(?i)invalid option"):
        sdk.volumes.create("x2", driver_opts={"nosuch": "1"})


def test_prune(sdk: docker.DockerClient) -> None:
    named, anonymous = sdk.volumes.create("named"), sdk.volumes.create()
    assert sdk.volumes.prune()["VolumesDeleted"] == [anonymous.name], "named ones only when all are asked for"
    assert sdk.volumes.prune({"all": True})["VolumesDeleted"] == [named.name]
    assert sdk.volumes.prune()["VolumesDeleted"] == []
