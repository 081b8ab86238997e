"""The store of layers: their life, what a crash leaves, what is inherited from below, the order of a stack."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proa.archive.unpack import unpack
from proa.errors import KernelError, NotFound, Unsupported
from proa.linux.mount import mount, umount2
from proa.snapshots import Layers, Trash, make_writable, name_of, overlay_mount
from rig.rawtar import directory, member, pax, symlink

pytestmark = pytest.mark.root

BASE, MIDDLE, TOP, OTHER = (f"sha256:{character * 64}" for character in "abcd")


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Layers]:
    opened = Layers(tmp_path / "layers")
    yield opened
    opened.close()
    opened.trash.close()


def add(layers: Layers, chain_id: str, parent: str, archive: bytes) -> Path:
    prepared = layers.prepare(chain_id)
    layers.commit(prepared, chain_id, parent, unpack([archive], prepared))
    return layers.directory(chain_id)


def test_life_of_a_layer(layers: Layers) -> None:
    assert not layers.has(BASE)
    prepared = layers.prepare(BASE)
    unpacked = unpack([member(b"f", b"12345")], prepared)
    assert not layers.has(BASE)
    layers.commit(prepared, BASE, "", unpacked)
    assert layers.has(BASE) and not prepared.exists()
    assert (layers.directory(BASE) / "f").read_text() == "12345"
    assert layers.size(BASE) == 5
    layers.remove(BASE)
    layers.remove(BASE)
    assert not layers.has(BASE)
    with pytest.raises(NotFound, match=BASE):
        layers.directory(BASE)


def test_names(layers: Layers) -> None:
    names = {name_of(f"sha256:{number:064x}") for number in range(0, 1 << 128, 1 << 120)}
    assert len(name_of(BASE)) == 26
    assert len(names) == 1, "only the first half of an identifier is used"
    assert len({name_of(f"sha256:{number:032x}{0:032x}") for number in range(1000)}) == 1000


def test_prepared_directory_owes_nothing_to_its_surroundings(layers: Layers) -> None:
    os.chown(layers.root / ".new", 0, 1234)
    (layers.root / ".new").chmod(0o2700)
    before = os.umask(0o077)
    try:
        status = layers.prepare(BASE).stat()
    finally:
        os.umask(before)
    assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o755, 0)


def test_same_layer_twice(layers: Layers) -> None:
    first = add(layers, BASE, "", member(b"f", b"first"))
    assert add(layers, BASE, "", member(b"f", b"second")) == first
    assert (first / "f").read_text() == "first"
    assert not list((layers.root / ".new").iterdir())


def test_full_disk(tmp_path: Path) -> None:
    mount("tmpfs", str(tmp_path), "tmpfs", 0, "size=1m,nr_inodes=40")
    try:
        layers = Layers(tmp_path / "layers")
        prepared = layers.prepare(BASE)
        (prepared / "filler").write_bytes(b"")
        with pytest.raises(OSError, match="No space left"):
            for number in range(100):
                (prepared / str(number)).touch()
        with pytest.raises(KernelError, match=r"^prepare a layer: no space left on device"):
            layers.prepare(TOP)
        layers.close()
        layers.trash.close()
    finally:
        umount2(str(tmp_path))


def test_many_threads_commit_one_layer(layers: Layers) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: add(layers, BASE, "", member(b"f", b"x")), range(16)))
    assert set(found) == {layers.directory(BASE)}
    assert not list((layers.root / ".new").iterdir())


def test_clear(layers: Layers) -> None:
    prepared = layers.prepare(BASE)
    unpack([member(b"a/b", b"x")], prepared)
    layers.clear(prepared)
    assert not list(prepared.iterdir())
    assert stat.S_IMODE(prepared.stat().st_mode) == 0o755


def test_undescribed_directories_are_like_those_below(layers: Layers) -> None:
    below = pax({b"SCHILY.xattr.user.k": b"v", b"mtime": b"7.5"}) + directory(b"tmp", mode=0o1777, uid=5)
    add(layers, BASE, "", below + directory(b"gone", mode=0o700) + symlink(b"link", b"tmp"))
    add(layers, MIDDLE, BASE, directory(b"tmp/deep", mode=0o750) + member(b".wh.gone"))
    archive = member(b"tmp/deep/f") + member(b"gone/f") + member(b"link/f") + member(b"new/f")
    top = add(layers, TOP, MIDDLE, archive)
    assert stat.S_IMODE((top / "tmp").stat().st_mode) == 0o1777
    assert ((top / "tmp").stat().st_uid, (top / "tmp").stat().st_mtime) == (5, 7.5)
    assert os.getxattr(top / "tmp", "user.k") == b"v"
    assert stat.S_IMODE((top / "tmp/deep").stat().st_mode) == 0o750
    for name in ("gone", "link", "new"):
        assert stat.S_IMODE((top / name).stat().st_mode) == 0o755, name
    assert stat.S_IMODE((layers.directory(MIDDLE) / "tmp").stat().st_mode) == 0o1777, "it was undescribed as well"


def test_stack(layers: Layers) -> None:
    add(layers, BASE, "", member(b"f"))
    add(layers, MIDDLE, BASE, member(b".wh..wh..opq") + member(b"g"))
    add(layers, TOP, MIDDLE, member(b"h"))
    assert layers.stack([BASE]) == [name_of(BASE), "base"]
    assert layers.stack([BASE, MIDDLE, TOP]) == [name_of(TOP), name_of(MIDDLE), "base"], "MIDDLE hides all below"
    with pytest.raises(NotFound, match=OTHER):
        layers.stack([BASE, OTHER])


def test_mount(layers: Layers, tmp_path: Path) -> None:
    """The kernel takes the description, and shows layers above those below, mount points where none are."""
    add(layers, BASE, "", member(b"f", b"base") + member(b"g", b"base") + member(b"etc/hosts", b"of the image"))
    add(layers, TOP, BASE, member(b"f", b"top") + member(b".wh.g"))
    container = tmp_path / "container"
    container.mkdir()
    make_writable(container)
    overlay = overlay_mount(layers, [BASE, TOP], container)
    target = tmp_path / "root"
    target.mkdir()
    before = Path.cwd()
    os.chdir(overlay["base"])
    try:
        options = f"lowerdir={':'.join(overlay['lower'])},upperdir={overlay['upper']},workdir={overlay['work']}"
        mount("overlay", str(target), "overlay", 0, options)
    finally:
        os.chdir(before)
    try:
        assert (target / "f").read_text() == "top"
        assert not (target / "g").exists()
        assert (target / "etc/hosts").read_text() == "of the image"
        assert (target / "proc").is_dir() and (target / "dev/console").is_file()
        assert (target / "etc/mtab").readlink() == Path("/proc/mounts")
    finally:
        umount2(str(target))
    assert not list((container / "upper").iterdir())


def test_125_layers_fit_in_one_mount(layers: Layers) -> None:
    chain_ids = [f"sha256:{number:032x}{0:032x}" for number in range(126)]
    for chain_id in chain_ids:
        add(layers, chain_id, "", b"")
    container = Path("/var/lib/proa/containers") / ("0" * 64)
    assert len(overlay_mount(layers, chain_ids[:125], container)["lower"]) == 126
    with pytest.raises(Unsupported, match="an image of 126 layers is too high"):
        overlay_mount(layers, chain_ids, Path("/" + "d" * 250 + "/" + "e" * 250))


def test_sweep(layers: Layers) -> None:
    for chain_id in (BASE, MIDDLE):
        add(layers, chain_id, "", member(b"f"))
    unfinished = layers.prepare(TOP)
    assert layers.sweep([BASE, OTHER]) == [OTHER], "what is needed and not there"
    assert layers.has(BASE) and not layers.has(MIDDLE) and not unfinished.exists()
    assert (layers.root / "base").is_dir()
    assert [path.name for path in (layers.root / ".parents").iterdir()] == [name_of(BASE)]


def test_layers_of_an_earlier_boot_that_were_not_synced(layers: Layers) -> None:
    add(layers, BASE, "", member(b"f"))
    add(layers, MIDDLE, BASE, member(b"g"))
    marks = layers.root / ".unsynced"
    assert {path.name for path in marks.iterdir()} == {name_of(BASE), name_of(MIDDLE)}
    layers.close()
    (marks / name_of(MIDDLE)).write_text("another boot")
    again = Layers(layers.root, layers.trash)
    try:
        assert again.has(BASE) and not again.has(MIDDLE)
        assert again.sweep([BASE, MIDDLE]) == [MIDDLE]
        assert {path.name for path in marks.iterdir()} <= {name_of(BASE)}
    finally:
        again.close()


def test_marks_go_once_the_disk_has_it(layers: Layers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proa.snapshots.durability._DELAY", 0.01)
    add(layers, BASE, "", member(b"f"))
    deadline = threading.Event()
    for _ in range(1000):
        if not list((layers.root / ".unsynced").iterdir()):
            return
        deadline.wait(0.01)
    pytest.fail("the mark is still there")


def test_trash(tmp_path: Path) -> None:
    trash = Trash(tmp_path / "trash")
    victim = tmp_path / "victim"
    (victim / "a/b").mkdir(parents=True)
    for number in range(200):
        (victim / "a" / str(number)).touch()
    (victim / "out").symlink_to(tmp_path)
    (tmp_path / "precious").touch()
    trash.discard(victim)
    assert not victim.exists()
    trash.discard(victim)
    trash.flush()
    assert not list((tmp_path / "trash").iterdir())
    assert (tmp_path / "precious").exists()
    trash.close()


def test_trash_of_an_earlier_engine(tmp_path: Path) -> None:
    first = Trash(tmp_path / "trash")
    (tmp_path / "victim").mkdir()
    first.discard(tmp_path / "victim")
    first.close()
    assert list((tmp_path / "trash").iterdir())
    second = Trash(tmp_path / "trash")
    second.flush()
    assert not list((tmp_path / "trash").iterdir())
    second.close()


def test_trash_takes_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proa.snapshots.trash._DELAY", 0.0)
    monkeypatch.setattr("proa.snapshots.trash._PAUSE", 30.0)
    trash = Trash(tmp_path / "trash")
    victim = tmp_path / "victim"
    victim.mkdir()
    for number in range(300):
        (victim / str(number)).touch()
    trash.discard(victim)
    moment = threading.Event()
    for _ in range(500):
        left = sum(len(files) for _, _, files in os.walk(tmp_path / "trash"))
        if left <= 236:
            break
        moment.wait(0.01)
    assert left == 236, "a bite of 64 files, then a pause"
    trash.close()
