"""Layers made to break out, to exhaust or to confuse: each row is one archive and what must become of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from proa.archive.apply import Applied, apply_layer
from proa.errors import InvalidArgument
from rig.listing import describe
from rig.rawtar import END, base256, directory, gnu_long, hard_link, header, member, octal, padded, pax, symlink

pytestmark = pytest.mark.root


@dataclass
class Place:
    """A layer's directory, and around it what a breakout would touch."""

    outside: Path
    root: Path

    def apply(self, archive: bytes, chunk: int = 1 << 20) -> Applied:
        return apply_layer((archive[start : start + chunk] for start in range(0, len(archive), chunk)), self.root)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    outside = tmp_path / "outside"
    root = outside / "layer"
    root.mkdir(parents=True)
    (outside / "secret").write_text("secret")
    (outside / "empty").mkdir()
    before = describe(outside)
    yield Place(outside, root)
    inside = {name for name in describe(outside) if name == "layer" or name.startswith("layer/")}
    after = {name: line for name, line in describe(outside).items() if name not in inside}
    assert after == {name: line for name, line in before.items() if name != "layer"}


def sparse_old(pieces: bytes, real_size: bytes, extended: int = 0) -> bytes:
    """What stands in an old GNU sparse header from the prefix's place on."""
    return bytes(41) + pieces.ljust(96, b"\0") + bytes((extended,)) + real_size


OUTSIDE = "is outside of the layer"
TEN = b"0123456789"

# What must be refused: (name, archive, a part of the message).
REFUSED: list[tuple[str, bytes, str]] = [
    # Names that leave the root.
    ("dot dot", member(b"../secret", b"x"), OUTSIDE),
    ("dot dot below", member(b"a/../../secret", b"x"), OUTSIDE),
    ("dot dot after root", member(b"/../secret", b"x"), OUTSIDE),
    ("dot dot directory", directory(b"../empty", mode=0o777), OUTSIDE),
    ("dot dot alone", directory(b"..", mode=0o777), OUTSIDE),
    ("dot dot link", symlink(b"../link", b"x"), OUTSIDE),
    ("dot dot device", member(b"../null", kind=b"3", major=1, minor=3), OUTSIDE),
    ("dot dot in pax", pax({b"path": b"../secret"}) + member(b"x", b"x"), OUTSIDE),
    ("dot dot in GNU name", gnu_long(b"../secret") + member(b"x", b"x"), OUTSIDE),
    ("dot dot in prefix", member(b"secret", b"x", tail=b".."), OUTSIDE),
    ("dot dot in sparse name", pax({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0",
        b"GNU.sparse.name": b"../secret", b"GNU.sparse.realsize": b"0"}) + member(b"x", padded(b"0\n")), OUTSIDE),
    # Links to the outside.
    ("hard link dot dot", hard_link(b"a", b"../secret"), OUTSIDE),
    ("hard link in pax", pax({b"linkpath": b"../../secret"}) + hard_link(b"a", b"x"), OUTSIDE),
    ("hard link in GNU name", gnu_long(b"../secret", b"K") + hard_link(b"a", b"x"), OUTSIDE),
    ("hard link through link", symlink(b"up", b"..") + hard_link(b"a", b"up/secret"), "is not in this layer"),
    ("hard link to the host", hard_link(b"a", b"/etc/passwd"), "is not in this layer"),
    ("hard link to a missing file", hard_link(b"a", b"b"), "is not in this layer"),
    ("hard link to the root", hard_link(b"a", b"/"), "is not in this layer"),
    ("hard link to a directory", directory(b"d") + hard_link(b"a", b"d"), "is a directory"),
    ("hard link to a whiteout", member(b".wh.f") + hard_link(b"a", b"f"), "is not in this layer"),
    ("hard link below a file", member(b"f", b"x") + hard_link(b"a", b"f/x"), "is not in this layer"),
    # Marks of deletion.
    ("whiteout outside", member(b"../.wh.secret"), OUTSIDE),
    ("whiteout outside, below", member(b"a/../../.wh.secret"), OUTSIDE),
    ("opaque outside", member(b"../.wh..wh..opq"), OUTSIDE),
    ("whiteout of nothing", member(b".wh."), "marks no name"),
    ("whiteout of dot", member(b".wh.."), "marks no name"),
    ("whiteout of dot dot", member(b".wh..."), "marks no name"),
    ("whiteout of dot dot below", member(b"a/b/.wh..."), "marks no name"),
    ("below a whiteout's name", member(b".wh.x/y", b"x"), "below a name that marks deletions"),
    # Things in the way.
    ("file as parent", member(b"f", b"x") + member(b"f/x", b"x"), "is not a directory"),
    ("file as link's end", member(b"f", b"x") + symlink(b"l", b"f") + member(b"l/x", b"x"), "is not a directory"),
    ("root as a file", member(b"./", b"x"), "replaces the root"),
    ("root as a link", symlink(b"/", b"/etc"), "replaces the root"),
    ("empty name", member(b"", b"x"), "replaces the root"),
    ("links in a circle", symlink(b"a", b"b") + symlink(b"b", b"a") + member(b"a/x", b"x"), "too many symbolic"),
    ("link to itself", symlink(b"a", b"a/a") + member(b"a/x", b"x"), "too many symbolic"),
    # Numbers.
    ("negative size", member(b"f", size=base256(-1)), "has the size -1"),
    ("very negative size", member(b"f", size=base256(-(1 << 80))), "has the size"),
    ("huge size", member(b"f", size=base256(1 << 70)), "has the size"),
    ("minus as text", member(b"f", size=b"-0000000001"), "is not a number"),
    ("digits of Python", member(b"f", size=b"1_0"), "is not a number"),
    ("decimal digits", member(b"f", size=b"00000000009"), "is not a number"),
    ("no digits", member(b"f", mode=b"rw-r--r"), "is not a number"),
    ("negative owner", member(b"f", uid=base256(-1, 8)), "has the owner -1:0"),
    ("owner of 2^32-1", member(b"f", gid=base256(0xFFFFFFFF, 8)), "has the owner 0:4294967295"),
    ("huge owner", pax({b"uid": b"99999999999"}) + member(b"f"), "has the owner"),
    ("negative size in pax", pax({b"size": b"-5"}) + member(b"f", b"x"), "is not a number"),
    ("huge size in pax", pax({b"size": b"9223372036854775808"}) + member(b"f", b"x"), "has the size"),
    ("endless size in pax", pax({b"size": b"9" * 4000}) + member(b"f", b"x"), "is not a number"),
    ("major number", member(b"d", kind=b"3", major=base256(5000, 8)), "has the device number 5000:0"),
    ("negative minor number", member(b"d", kind=b"4", minor=base256(-1, 8)), "has the device number"),
    ("time of letters", pax({b"mtime": b"soon"}) + member(b"f"), "is not a time"),
    ("time of two points", pax({b"mtime": b"1.2.3"}) + member(b"f"), "is not a time"),
    ("endless time", pax({b"mtime": b"1" * 5000}) + member(b"f"), "is not a time"),
    # Names with NUL.
    ("NUL in a pax name", pax({b"path": b"a\0b"}) + member(b"f"), "NUL byte"),
    ("NUL in a pax link", pax({b"linkpath": b"a\0b"}) + symlink(b"f", b"x"), "NUL byte"),
    ("NUL in an attribute", pax({b"SCHILY.xattr.user.a\0b": b"x"}) + member(b"f"), "is malformed"),
    ("attribute without a name", pax({b"SCHILY.xattr.": b"x"}) + member(b"f"), "is malformed"),
    # Extended headers.
    ("pax without length", pax(b"path=x\n") + member(b"f"), "malformed pax"),
    ("pax record too long", pax(b"99 path=x\n") + member(b"f"), "malformed pax"),
    ("pax record too short", pax(b"3 path=x\n") + member(b"f"), "malformed pax"),
    ("pax record of zero", pax(b"0 path=x\n") + member(b"f"), "malformed pax"),
    ("pax record of itself", pax(b"2 ") + member(b"f"), "malformed pax"),
    ("pax without newline", pax(b"9 path=ab") + member(b"f"), "malformed pax"),
    ("pax without equals", pax(b"7 path\n") + member(b"f"), "malformed pax"),
    ("pax without key", pax(b"5 =x\n") + member(b"f"), "malformed pax"),
    ("pax length of many digits", pax(b"0" * 4000 + b"9 path=x\n") + member(b"f"), "malformed pax"),
    ("pax of 2 MiB", member(b"x", kind=b"x", size=2 << 20), "an extended header has the size 2097152"),
    ("GNU name of 2 MiB", member(b"x", kind=b"L", size=2 << 20), "an extended header has the size"),
    ("GNU link of 8 EiB", member(b"x", kind=b"K", size=base256(1 << 63)), "an extended header has the size"),
    ("global pax of 2 MiB", member(b"x", kind=b"g", size=2 << 20), "an extended header has the size"),
    ("negative pax", member(b"x", kind=b"x", size=base256(-512)), "an extended header has the size -512"),
    ("malformed global pax", pax(b"path=x\n", kind=b"g") + member(b"f"), "malformed pax"),
    ("end after pax", pax({b"path": b"x"}) + END, "ends after an extended header"),
    ("end after GNU name", gnu_long(b"x" * 200), "ends after an extended header"),
    # Archives that are cut, or none.
    ("cut in a header", member(b"f", b"x")[:300], "unexpected end"),
    ("cut in data", member(b"f", b"x" * 2000)[:1500], "unexpected end"),
    ("cut in padding", member(b"f", b"x")[:600], "unexpected end"),
    ("cut in pax", pax({b"path": b"x" * 3000})[:1024], "unexpected end"),
    ("cut before data", member(b"f", size=1 << 40), "unexpected end"),
    ("cut in skipped data", pax({b"path": b"d/"}) + member(b".wh.f", size=4096), "unexpected end"),
    ("no archive", b"This is no archive at all. " * 100, "checksum"),
    ("wrong checksum", header(b"f", checksum=b"000001\0 "), "checksum"),
    ("damaged header", member(b"f", b"x").replace(b"ustar", b"vstar"), "checksum"),
    ("checksum of letters", header(b"f", checksum=b"abcdef\0 "), "checksum"),
    ("garbage after zeros", bytes(512) + member(b"f"), "garbage after a block of zeros"),
    ("unknown type", member(b"f", kind=b"Z"), "unknown type"),
    ("multi-volume", member(b"f", kind=b"M"), "unknown type"),
    # Sparse files.
    ("sparse pieces backwards",
        pax({b"GNU.sparse.size": b"100", b"GNU.sparse.map": b"50,5,0,5"}) + member(b"f", TEN),
        "out of order"),
    ("sparse beyond the end", pax({b"GNU.sparse.size": b"8", b"GNU.sparse.map": b"0,10"}) + member(b"f", TEN),
        "out of order"),
    ("sparse of more data", pax({b"GNU.sparse.size": b"99", b"GNU.sparse.map": b"0,20"}) + member(b"f", TEN),
        "does not fit"),
    ("sparse of less data", pax({b"GNU.sparse.size": b"99", b"GNU.sparse.map": b"0,2"}) + member(b"f", TEN),
        "does not fit"),
    ("sparse with an odd map", pax({b"GNU.sparse.size": b"9", b"GNU.sparse.map": b"0,5,9"}) + member(b"f", TEN),
        "odd"),
    ("sparse without size", pax({b"GNU.sparse.map": b"0,10"}) + member(b"f", TEN), "no size"),
    ("sparse of letters", pax({b"GNU.sparse.size": b"9", b"GNU.sparse.map": b"a,b"}) + member(b"f", TEN),
        "not a number"),
    ("sparse 1.0 without end", pax({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0",
        b"GNU.sparse.realsize": b"9"}) + member(b"f", b"7" * 512), "sparse map"),
    ("sparse 1.0 of millions", pax({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0",
        b"GNU.sparse.realsize": b"9"}) + member(b"f", padded(b"99999999999\n")), "too many pieces"),
    ("sparse 1.0 cut", pax({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0",
        b"GNU.sparse.realsize": b"9"}) + member(b"f", padded(b"400\n" + b"0\n1\n" * 100)), "sparse map"),
    ("old sparse backwards", member(b"f", TEN, kind=b"S", magic=b"ustar  \0",
        tail=sparse_old(octal(50, 12) + octal(5, 12) + octal(0, 12) + octal(5, 12), octal(99, 12))),
        "out of order"),
    ("old sparse negative", member(b"f", TEN, kind=b"S", magic=b"ustar  \0",
        tail=sparse_old(base256(-5) + octal(10, 12), octal(99, 12))), "out of order"),
    ("old sparse negative length", member(b"f", TEN, kind=b"S", magic=b"ustar  \0",
        tail=sparse_old(octal(5, 12) + base256(-1), octal(99, 12))), "out of order"),
    ("old sparse cut", header(b"f", kind=b"S", magic=b"ustar  \0", size=10,
        tail=sparse_old(octal(0, 12) + octal(10, 12), octal(10, 12), extended=1)), "unexpected end"),
    # Paths that no file system takes.
    ("path of 5000 bytes", pax({b"path": b"a/" * 2500 + b"f"}) + member(b"f"), "longer than 4095 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("archive", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused(place: Place, archive: bytes, message: str) -> None:
    for chunk in (1 << 20, 512, 77):
        with pytest.raises(InvalidArgument, match=r"^invalid layer archive: ") as caught:
            place.apply(archive, chunk)
        assert message in caught.value.message
        assert "\n" not in caught.value.message and len(caught.value.message) < 600


def test_rows_of_the_table() -> None:
    names = [row[0] for row in REFUSED] + [row[0] for row in TAMED]
    assert len(names) == len(set(names))
    assert len(REFUSED) >= 90 and len(TAMED) >= 35


def is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: Path) -> bool:
    return "trusted.overlay.opaque" in os.listxattr(path)


def files(**contents: str) -> Callable[[Path], bool]:
    """A check that these files, and no others, are in the layer; "__" stands for a slash."""
    wanted = {name.replace("__", "/"): content for name, content in contents.items()}

    def check(root: Path) -> bool:
        found = {
            str(path.relative_to(root)): path for path in root.rglob("*") if not path.is_dir() or path.is_symlink()
        }
        return {
            name: path.read_text() for name, path in found.items() if path.is_file() and not path.is_symlink()
        } == wanted

    return check


SPARSE_10 = {b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.name": b"real"}
HOLES = "\0" * 100 + "01234" + "\0" * 95 + "56789" + "\0" * 5

# What must be taken, inside the root and in its true meaning: (name, archive, check of the layer).
TAMED: list[tuple[str, bytes, Callable[[Path], bool]]] = [
    ("absolute name", member(b"/etc/passwd", b"x"), files(etc__passwd="x")),
    ("many slashes", member(b"//etc///./passwd", b"x"), files(etc__passwd="x")),
    ("dot dot inside", member(b"a/../b", b"x"), files(b="x")),
    ("parent is an absolute link", symlink(b"out", b"/etc") + member(b"out/f", b"x"), files(etc__f="x")),
    ("parent is a link upwards", symlink(b"out", b"../../..") + member(b"out/f", b"x"), files(f="x")),
    ("parent is a link to the outside", symlink(b"out", b"../empty") + member(b"out/f", b"x"),
        files(empty__f="x")),
    ("parents are links of links", symlink(b"a", b"/b/../..") + symlink(b"c", b"a/a/d") + member(b"c/f", b"x"),
        files(d__f="x")),
    ("link planted after a visit", directory(b"a") + member(b"a/f", b"x") + symlink(b"a", b"/../../b") +
        directory(b"b") + member(b"a/f", b"y"), files(b__f="y")),
    ("link planted by its parent's way", directory(b"a/b") + symlink(b"a/b", b"..") + symlink(b"a/c", b"/..") +
        member(b"a/b/c/f", b"x"), files(c__f="x")),
    ("file over a link", symlink(b"l", b"../secret") + member(b"l", b"x"), files(l="x")),
    ("file over a link to itself", symlink(b"l", b"l") + member(b"l", b"x"), files(l="x")),
    ("directory over a link", symlink(b"l", b"../empty") + directory(b"l", mode=0o700) + member(b"l/f", b"x"),
        files(l__f="x")),
    ("hard link to a link", symlink(b"l", b"../secret") + hard_link(b"h", b"l") + member(b"h", b"x"),
        files(h="x")),
    ("hard link to a link is no way out", symlink(b"l", b"../secret") + hard_link(b"h", b"l"),
        lambda root: (root / "h").is_symlink()),
    ("hard link by an absolute name", member(b"f", b"x") + hard_link(b"h", b"/f"), files(f="x", h="x")),
    ("hard link to itself", member(b"f", b"x") + hard_link(b"f", b"f"), files(f="x")),
    ("hard link said twice", member(b"f", b"x") + hard_link(b"h", b"f") * 2, files(f="x", h="x")),
    ("hard link over a directory", member(b"f", b"x") + member(b"d/e", b"y") + hard_link(b"d", b"f"),
        files(f="x", d="x")),
    ("hard link with a size", member(b"f", b"x") + hard_link(b"h", b"f", size=512), files(f="x", h="x")),
    ("file twice", member(b"f", b"long content") + member(b"f", b"x"), files(f="x")),
    ("file over its other name", member(b"f", b"x") + hard_link(b"h", b"f") + member(b"f", b"y"),
        files(f="y", h="x")),
    ("file over a directory", member(b"d/e/f", b"x") + member(b"d", b"y"), files(d="y")),
    ("directory over a file", member(b"d", b"x") + directory(b"d") + member(b"d/f", b"y"), files(d__f="y")),
    ("directory twice", directory(b"d", mode=0o700) + member(b"d/f", b"x") + directory(b"d", mode=0o711),
        lambda root: files(d__f="x")(root) and (root / "d").stat().st_mode & 0o777 == 0o711),
    ("deep directory replaced", pax({b"path": b"d/" * 1500}) + directory(b"x") + member(b"d", b"x"), files(d="x")),
    ("whiteout", member(b"a/.wh.f", b"data of a whiteout"), lambda root: is_whiteout(root / "a/f")),
    ("whiteout as a directory", directory(b".wh.f"), lambda root: is_whiteout(root / "f")),
    ("whiteout twice", member(b".wh.f") * 2, lambda root: is_whiteout(root / "f")),
    ("whiteout before its file", member(b".wh.f") + member(b"f", b"x"), files(f="x")),
    ("whiteout after its file", member(b"f", b"x") + member(b".wh.f"), files(f="x")),
    ("whiteout before its directory", member(b".wh.d") + directory(b"d") + member(b"d/f", b"x"),
        lambda root: files(d__f="x")(root) and is_opaque(root / "d")),
    ("whiteout after its directory", member(b"d/f", b"x") + member(b".wh.d"),
        lambda root: files(d__f="x")(root) and is_opaque(root / "d")),
    ("whiteout before a path through it", member(b".wh.d") + member(b"d/f", b"x"),
        lambda root: files(d__f="x")(root) and is_opaque(root / "d")),
    ("whiteout through a link", symlink(b"l", b"../empty") + member(b"l/.wh.f"),
        lambda root: is_whiteout(root / "empty/f")),
    ("whiteout of a whiteout's name", member(b".wh..wh.f"), lambda root: not list(root.iterdir())),
    ("opaque root", member(b".wh..wh..opq"), is_opaque),
    ("opaque directory", member(b"a/b/.wh..wh..opq"),
        lambda root: is_opaque(root / "a/b") and not is_opaque(root / "a")),
    ("opaque through a link", symlink(b"l", b"../empty") + member(b"l/.wh..wh..opq"),
        lambda root: is_opaque(root / "empty")),
    ("bookkeeping of AUFS",
        directory(b".wh..wh.plnk") + member(b".wh..wh.plnk/1.2", b"x") + member(b".wh..wh.aufs"),
        lambda root: not list(root.iterdir())),
    ("device 0/0", member(b"f", kind=b"3"), lambda root: is_whiteout(root / "f")),
    ("device over a file", member(b"f", b"x") + member(b"f", kind=b"3", major=1, minor=3, mode=0o600),
        lambda root: (root / "f").lstat().st_rdev == os.makedev(1, 3)),
    ("attributes of overlayfs",
        pax({b"SCHILY.xattr.trusted.overlay.opaque": b"y", b"SCHILY.xattr.trusted.overlay.redirect": b"/etc",
             b"SCHILY.xattr.trusted.overlay.metacopy": b"", b"SCHILY.xattr.user.overlay.opaque": b"y",
             b"SCHILY.xattr.security.selinux": b"system_u:object_r:etc_t:s0"}) + directory(b"d"),
        lambda root: os.listxattr(root / "d") == []),
    ("attributes of the root", pax({b"SCHILY.xattr.trusted.overlay.opaque": b"y"}) + directory(b"./", mode=0o700),
        lambda root: not is_opaque(root) and root.stat().st_mode & 0o777 == 0o700),
    ("name in a global header", pax({b"path": b"../secret", b"uid": b"5"}, kind=b"g") + member(b"f", b"x"),
        files(f="x")),
    ("GNU name with NUL", gnu_long(b"a\0/../../secret") + member(b"f", b"x"), files(a="x")),
    ("name with a newline", pax({b"path": b"a\nb"}) + member(b"f", b"x"), lambda root: (root / "a\nb").is_file()),
    ("name of no UTF-8", member(b"\xff\xfe", b"x"), lambda root: os.listdir(os.fsencode(root)) == [b"\xff\xfe"]),
    ("pax wins over GNU", gnu_long(b"gnu") + pax({b"path": b"pax"}) + member(b"f", b"x"), files(pax="x")),
    ("last of two records", pax([(b"path", b"a"), (b"path", b"b")]) + member(b"f", b"x"), files(b="x")),
    ("record taken back", pax([(b"path", b"a"), (b"path", b"")]) + member(b"f", b"x"), files(f="x")),
    ("pax name of a directory with data", pax({b"path": b"d"}) + directory(b"x", size=512),
        lambda root: (root / "d").is_dir()),
    ("old directory", member(b"d/", kind=b"\0") + member(b"d/f", b"x"), files(d__f="x")),
    ("prefix", member(b"f", b"x", tail=b"a/b"), files(a__b__f="x")),
    ("no prefix in GNU's format", member(b"f", b"x", magic=b"ustar  \0", tail=b"a/b"), files(f="x")),
    ("base-256 numbers", member(b"f", b"x", size=base256(1), uid=base256(70000, 8), mtime=base256(-5)),
        lambda root: (root / "f").stat().st_uid == 70000 and (root / "f").stat().st_mtime == -5),
    ("time beyond all clocks", pax({b"mtime": b"9999999999999999999"}) + member(b"f", b"x"), files(f="x")),
    ("signed checksum",
        (lambda block: block[:148] + b"%06o\0 " % (sum(block) - sum(block[148:156]) + 256 - 256 * 2)
        + block[156:] + padded(b"x"))(header(b"\xff\xff", size=1)),
        lambda root: os.listdir(os.fsencode(root)) == [b"\xff\xff"]),
    ("sparse 0.0",
        pax([(b"GNU.sparse.size", b"210"), (b"GNU.sparse.offset", b"100"), (b"GNU.sparse.numbytes", b"5"),
        (b"GNU.sparse.offset", b"200"), (b"GNU.sparse.numbytes", b"5")]) + member(b"f", TEN), files(f=HOLES)),
    ("sparse 0.1",
        pax({b"GNU.sparse.size": b"210", b"GNU.sparse.map": b"100,5,200,5", b"GNU.sparse.name": b"real"})
        + member(b"GNUSparseFile.0/f", TEN), files(real=HOLES)),
    ("sparse 1.0", pax({**SPARSE_10, b"GNU.sparse.realsize": b"210"})
        + member(b"f", padded(b"2\n100\n5\n200\n5\n") + TEN), files(real=HOLES)),
    ("old sparse", member(b"f", TEN, kind=b"S", magic=b"ustar  \0",
        tail=sparse_old(octal(100, 12) + octal(5, 12) + octal(200, 12) + octal(5, 12), octal(210, 12))),
        files(f=HOLES)),
    ("sparse of holes only", pax({b"GNU.sparse.size": b"3", b"GNU.sparse.map": b"3,0"}) + member(b"f"),
        files(f="\0\0\0")),
    ("no end", member(b"f", b"x"), files(f="x")),
    ("one block of zeros", member(b"f", b"x") + bytes(512), files(f="x")),
    ("garbage after the end", member(b"f", b"x") + END + b"garbage" * 1000, files(f="x")),
    ("nothing", b"", lambda root: not list(root.iterdir())),
    ("archive of nothing", END, lambda root: not list(root.iterdir())),
]  # fmt: skip


@pytest.mark.parametrize(("archive", "check"), [row[1:] for row in TAMED], ids=[row[0] for row in TAMED])
def test_tamed(place: Place, archive: bytes, check: Callable[[Path], bool]) -> None:
    place.apply(archive)
    assert check(place.root), describe(place.root)


@pytest.mark.parametrize(("archive", "check"), [row[1:] for row in TAMED[:8]], ids=[row[0] for row in TAMED[:8]])
def test_tamed_in_small_chunks(place: Place, archive: bytes, check: Callable[[Path], bool]) -> None:
    place.apply(archive + END, 100)
    assert check(place.root), describe(place.root)
