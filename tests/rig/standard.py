"""The images every engine test may count on, made from this distribution's packages.

busybox:latest    index of linux/amd64 and linux/arm64, OCI, gzip; the real applets as hard links
busybox:1.36      one Docker v2s2 manifest of the same files with `VERSION=1.36` in its Env
ubuntu:latest     this distribution's minbase (four layers) under the name ubuntu; also :24.04. ~40 MB
settings:latest   every setting a configuration can carry: see SETTINGS
layers:latest     whiteouts, an opaque directory, a replaced directory, links, xattrs, a device, owners, zstd
bare:latest       the busybox program and nothing else: no /etc, no /tmp, no shell link; uncompressed layer
big:latest        one gzip layer of 160 MB and 15,000 files, for pulling (~45 MB)
"""

from __future__ import annotations

import gzip
import io
import random
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from rig import cache, images
from rig.images import Image, Layer
from rig.trees import Tree

SETTINGS: dict[str, Any] = {
    "Env": [images.PATH, "COLOUR=blue", "EMPTY="],
    "Entrypoint": ["/bin/echo", "entry"],
    "Cmd": ["cmd"],
    "User": "app:staff",
    "WorkingDir": "/srv/work",
    "Volumes": {"/data": {}},
    "ExposedPorts": {"8080/tcp": {}},
    "StopSignal": "SIGUSR1",
    "Labels": {"org.example.kind": "settings"},
}


def busybox_program() -> bytes:
    """The static busybox of the package busybox-static."""
    path = shutil.which("busybox") or "/bin/busybox"
    return Path(path).read_bytes()


@lru_cache
def busybox_tree() -> Tree:
    """The busybox image's files: the program in /bin with a hard link for each applet, as on the hub."""
    listed = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()
    tree = Tree().directory("bin").file("bin/busybox", busybox_program(), 0o755)
    for applet in sorted(set(listed) - {"busybox"}):
        tree.hard_link(f"bin/{applet}", "bin/busybox")
    tree.directory("dev").directory("etc")
    tree.file(
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
        "www-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
    )
    tree.file(
        "etc/group",
        "root:x:0:\ndaemon:x:1:\naudio:x:29:\nwww-data:x:33:\nstaff:x:50:daemon\nnobody:x:65534:\n",
    )
    tree.file("etc/shadow", "root:*:19675:0:99999:7:::\n", 0o640)
    tree.directory("home", uid=65534, gid=65534).directory("root", 0o700).directory("tmp", 0o1777)
    tree.directory("usr").directory("usr/bin").hard_link("usr/bin/env", "bin/busybox").directory("usr/sbin")
    tree.directory("var").directory("var/www", uid=33, gid=33)
    return tree


@lru_cache
def busybox_layer() -> Layer:
    return images.layer(busybox_tree())


def busybox() -> Image:
    steps = ["BusyBox from the distribution's package"]
    arm = images.build(
        [Tree().file("arm64", "for another processor\n")],
        architecture="arm64",
        variant="v8",
        created_by=steps,
    )
    return images.index([images.build([busybox_layer()], created_by=steps), arm])


def busybox_docker() -> Image:
    return images.build([busybox_layer()], {"Env": [images.PATH, "VERSION=1.36"]}, style="docker")


def settings() -> Image:
    users = (
        Tree()
        .directory("etc")
        .file("etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:1234:1234::/home/app:/bin/sh\n")
        .file("etc/group", "root:x:0:\nstaff:x:50:\nextra:x:77:app\n")
    )
    data = (
        Tree()
        .directory("data", 0o750, uid=1234, gid=50)
        .file("data/seed", "from the image\n", 0o640, uid=1234, gid=50)
        .symlink("data/link", "seed")
    )
    return images.build([busybox_layer(), images.layer(users), images.layer(data)], SETTINGS)


def layers() -> Image:
    base = (
        Tree()
        .directory("d")
        .file("d/kept", "1")
        .file("d/removed", "2")
        .directory("opaque")
        .file("opaque/old", "3")
        .directory("replaced")
        .file("replaced/inner", "4")
        .file("first", "linked", uid=7, gid=8)
        .hard_link("second", "first")
        .file("marked", "5", xattrs={"user.colour": "red"})
        .fifo("pipe")
        .character_device("zero", 1, 5)
    )
    top = (
        Tree()
        .directory("d")
        .whiteout("d/removed")
        .directory("opaque")
        .opaque("opaque")
        .file("opaque/new", "6")
        .file("replaced", "a file now")
        .symlink("to-first", "first")
    )
    return images.build([busybox_layer(), images.layer(base, "zstd"), images.layer(top)])


def bare() -> Image:
    only = images.layer(Tree().file("busybox", busybox_program(), 0o755), "")
    return images.build([only], {"Cmd": ["/busybox", "echo", "bare"]})


def ubuntu() -> Image:
    """Real files of a real distribution, split into four layers as hub images often are."""
    return images.build(minbase_layers(), {"Cmd": ["/bin/bash"]}, style="docker")


@lru_cache
def minbase_layers() -> list[Layer]:
    path = cache.cached(f"minbase-{distribution()[0]}.tar", _make_minbase)
    parts = [Tree() for _ in range(4)]
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        for number, member in enumerate(members):
            data = archive.extractfile(member) if member.isreg() else None
            part = parts[min(3, number * 4 // len(members))]
            part.entries.append((member, data.read() if data else b""))
    return [images.layer(part, level=1) for part in parts]


def big() -> Image:
    """160 MB in 15,000 files of which gzip leaves about a third."""
    path = cache.cached("big-1.tar.gz", _make_big)
    blob = path.read_bytes()
    return images.build([Layer(blob, "gzip", images.digest(gzip.decompress(blob)))])


# repository -> tag -> what makes it. The dear ones are made when a test first asks for them.
STANDARD: dict[str, dict[str, Callable[[], Image]]] = {
    "library/busybox": {"latest": busybox, "1.36": busybox_docker},
    "library/settings": {"latest": settings},
    "library/layers": {"latest": layers},
    "library/bare": {"latest": bare},
}
DEAR: dict[str, dict[str, Callable[[], Image]]] = {
    "library/ubuntu": {"latest": ubuntu, "24.04": ubuntu},
    "library/big": {"latest": big},
}


def distribution() -> tuple[str, str]:
    """This system's release ("bookworm") and the package mirror that apt is set up with."""
    words = (line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    release = {name: value.strip('"') for name, value in words}["VERSION_CODENAME"]
    listing = [
        "apt-get",
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
        "Component: main",
    ]
    uris = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
    return release, next((uri for uri in uris if "security" not in uri), "")


def _make_minbase(path: Path) -> None:
    release, mirror = distribution()
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
    command = ["mmdebstrap", "--mode=root", "--variant=minbase", *excluded, release, str(path), mirror]
    # Namespaces of its own: however it ends, neither a process nor a mount stays.
    own = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run([*own, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"mmdebstrap failed:\n{done.stderr[-2000:]}")


def _make_big(path: Path) -> None:
    chance = random.Random(15)
    words = ["".join(chance.choices("etaoinshrdlu_()=.", k=chance.randint(2, 11))) for _ in range(4096)]
    weights = [1 / rank for rank in range(1, 4097)]  # as in any text: few words make most of it
    text = " ".join(chance.choices(words, weights, k=1_200_000)).encode()
    noise = chance.randbytes(1_000_000)
    with gzip.GzipFile(path, "wb", 6, mtime=0) as out, tarfile.open(fileobj=out, mode="w|") as archive:
        for number in range(15_000):
            if number % 100 == 0:
                folder = tarfile.TarInfo(f"usr/lib/part{number // 100:03}")
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(folder)
            source = noise if number % 20 == 0 else text
            size = min(len(source) - 1, int(chance.lognormvariate(8.6, 1.15)))
            start = chance.randrange(len(source) - size)
            info = tarfile.TarInfo(f"usr/lib/part{number // 100:03}/file{number:05}.py")
            info.size, info.mode = size, 0o644
            archive.addfile(info, io.BytesIO(source[start : start + size]))
