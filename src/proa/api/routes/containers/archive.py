"""/containers/{id}/archive and /export: files out of containers and into them, as tar."""

from __future__ import annotations

import base64
import stat

import msgspec

from proa import times
from proa.api.request import Request, Response
from proa.engine.containers.archive import PathStat
from proa.errors import InvalidArgument

_TAR = "application/x-tar"
_STAT = "X-Docker-Container-Path-Stat"
# Go's os.FileMode: the kinds and the three special bits of stat(2) stand elsewhere (io/fs, FileMode).
_KINDS = {
    stat.S_IFDIR: 1 << 31, stat.S_IFLNK: 1 << 27, stat.S_IFBLK: 1 << 26, stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25, stat.S_IFSOCK: 1 << 24,
}  # fmt: skip
_BITS = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))


async def status(request: Request) -> Response:
    found = await request.engine.containers.path_status(request.parameters["name"], _path(request))
    return Response(200, headers={_STAT: _encoded(found)})


async def read(request: Request) -> None:
    containers = request.engine.containers
    async with containers.read_archive(request.parameters["name"], _path(request)) as (found, pieces):
        stream = await request.wire.begin(200, _TAR, {_STAT: _encoded(found)})
        async for piece in pieces:
            await stream.write(piece)
        await stream.close()


async def write(request: Request) -> Response:
    query = request.query
    await request.engine.containers.write_archive(
        request.parameters["name"],
        _path(request),
        request.body,
        keep_kinds=query.flag("noOverwriteDirNonDir"),
        as_user=query.flag("copyUIDGID"),
    )
    return Response(200)


async def export(request: Request) -> None:
    async with request.engine.containers.export(request.name()) as pieces:
        stream = await request.wire.begin(200, "application/octet-stream")
        async for piece in pieces:
            await stream.write(piece)
        await stream.close()


def _path(request: Request) -> str:
    path = request.query.text("path")
    if not path:
        raise InvalidArgument("bad parameter: path cannot be empty")
    if "\0" in path:
        raise InvalidArgument("bad parameter: path contains a null byte")
    return path


def _encoded(found: PathStat) -> str:
    mode = stat.S_IMODE(found.mode) & 0o777 | _KINDS.get(stat.S_IFMT(found.mode), 0)
    mode |= sum(theirs for ours, theirs in _BITS if found.mode & ours)
    document = {
        "name": found.name,
        "size": found.size,
        "mode": mode,
        "mtime": times.format_time(found.modified),
        "linkTarget": found.target,
    }
    return base64.b64encode(msgspec.json.encode(document)).decode()
