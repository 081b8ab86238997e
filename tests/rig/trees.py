"""The files of a layer, in memory: what a tar of them says is in the test's own hand."""

from __future__ import annotations

import io
import tarfile
from typing import Self

MTIME = 1_700_000_000  # seconds; the same everywhere, so that the same tree has the same digest


class Tree:
    """A layer's entries in the order they are added. Every method returns the tree, so that calls chain."""

    def __init__(self) -> None:
        self.entries: list[tuple[tarfile.TarInfo, bytes]] = []

    def directory(self, path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Self:
        return self._add(path, tarfile.DIRTYPE, mode, uid, gid)

    def file(
        self,
        path: str,
        data: bytes | str = b"",
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        xattrs: dict[str, str] | None = None,
    ) -> Self:
        """A regular file; `xattrs` go into pax records as GNU tar and Docker write them."""
        content = data.encode() if isinstance(data, str) else data
        pax = {f"SCHILY.xattr.{name}": value for name, value in (xattrs or {}).items()}
        return self._add(path, tarfile.REGTYPE, mode, uid, gid, content=content, pax=pax)

    def symlink(self, path: str, target: str) -> Self:
        return self._add(path, tarfile.SYMTYPE, 0o777, linkname=target)

    def hard_link(self, path: str, target: str) -> Self:
        """Another name of `target`; with its mode and owner, which appliers set once more."""
        same = next((info for info, _ in self.entries if info.name == target), tarfile.TarInfo())
        return self._add(path, tarfile.LNKTYPE, same.mode, same.uid, same.gid, linkname=target)

    def character_device(self, path: str, major: int, minor: int, mode: int = 0o666) -> Self:
        return self._add(path, tarfile.CHRTYPE, mode, device=(major, minor))

    def fifo(self, path: str, mode: int = 0o644) -> Self:
        return self._add(path, tarfile.FIFOTYPE, mode)

    def whiteout(self, path: str) -> Self:
        """Hides `path` of the layers below (OCI image spec, layer.md, Whiteouts)."""
        parent, _, name = path.rpartition("/")
        return self.file(f"{parent}/.wh.{name}" if parent else f".wh.{name}")

    def opaque(self, path: str) -> Self:
        """Hides everything the layers below have in the directory `path`."""
        return self.file(f"{path}/.wh..wh..opq")

    def tar(self) -> bytes:
        """The tree as an uncompressed tar."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for info, data in self.entries:
                archive.addfile(info, io.BytesIO(data))
        return out.getvalue()

    def _add(
        self,
        path: str,
        kind: bytes,
        mode: int,
        uid: int = 0,
        gid: int = 0,
        *,
        content: bytes = b"",
        linkname: str = "",
        device: tuple[int, int] = (0, 0),
        pax: dict[str, str] | None = None,
    ) -> Self:
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.uid, info.gid, info.mtime = kind, mode, uid, gid, MTIME
        info.size, info.linkname = len(content), linkname
        info.devmajor, info.devminor = device
        info.pax_headers = pax or {}
        self.entries.append((info, content))
        return self
