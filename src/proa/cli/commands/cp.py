"""`proa cp`: files and directories from a container to this machine, and the other way round."""

from __future__ import annotations

import os
import sys

from proa.cli.command import Command
from proa.cli.copying import places
from proa.cli.formatting.units import bytes_size
from proa.client.errors import DaemonError
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from proa.cli.command import Invocation

_FLAGS = (
    ("archive", "a", "", "Keep users and groups"),
    ("follow-link", "L", "", "Copy what a link in SRC_PATH leads to"),
    ("quiet", "q", "", "Do not tell what was copied"),
)
_DIRECTORY, _LINK = 1 << 31, 1 << 27  # of Go's os.FileMode
_STAT = "x-docker-container-path-stat"


def _run(invocation: Invocation) -> None:
    (source_box, source), (target_box, target) = (places.split(each) for each in invocation.arguments)
    if not source or not target:
        raise InvalidArgument(f"{'source' if not source else 'destination'} can not be empty")
    if source_box and target_box:
        raise InvalidArgument("copying between containers is not supported")
    if not source_box and not target_box:
        raise InvalidArgument("must specify at least one container source")
    counter = _Counter()
    if source_box:
        _out(invocation, source_box, source, target, counter)
        shown = target
    else:
        _into(invocation, source, target_box, target, counter)
        shown = f"{target_box}:{target}"
    quiet = invocation["quiet"] if invocation.options.given("quiet") else not sys.stdout.isatty()
    if not quiet and "-" not in (source, target):
        invocation.warn(f"Successfully copied {bytes_size(counter.size, 3)} to {shown}")


class _Counter:
    """The bytes of archive that were moved."""

    def __init__(self) -> None:
        self.size = 0

    def add(self, size: int) -> None:
        self.size += size

    def counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.size += len(piece)
            yield piece


def _out(invocation: Invocation, container: str, source: str, target: str, counter: _Counter) -> None:
    from proa.cli.copying.output import written

    client = invocation.client
    asked = places.base(source)  # a link's own name, whatever it leads to
    if invocation["follow-link"]:
        source = _followed(source, _status(invocation, container, source))
    if target != "-":
        directory = os.path.dirname(os.path.abspath(target))
        if not os.path.isdir(directory):
            raise InvalidArgument(f"invalid output path: directory {_quoted(directory)} does not exist")
    response = client.request("GET", f"/containers/{container}/archive", {"path": source})
    if target == "-":
        written(response, "")
        return
    from proa.cli.copying.tar import unpacked

    mode = _decoded(response.headers[_STAT])["mode"]
    there = places.Place(source, exists=True, is_directory=bool(mode & _DIRECTORY))
    into, name = places.arrange(there, places.local(target, follow=True))
    rename = places.renamer(places.base(source), name or asked)
    unpacked(response.chunks(), into, rename, owners=invocation["archive"], counted=counter.add)


def _into(invocation: Invocation, source: str, container: str, target: str, counter: _Counter) -> None:
    found = _status(invocation, container, target)
    if found and found["mode"] & _LINK:
        target = _followed(target, found)
        found = _status(invocation, container, target)
    destination = places.Place(target, exists=bool(found), is_directory=bool(found and found["mode"] & _DIRECTORY))
    if source == "-":
        if not destination.is_directory:
            raise InvalidArgument(f'destination "{container}:{target}" must be a directory')
        _put(invocation, container, target, _standard_input())
        return
    from proa.cli.copying.tar import packed

    follow = invocation["follow-link"]
    here = places.local(source, follow=follow)
    if not here.exists:
        missing = os.path.realpath(source) if follow else os.path.abspath(source)
        raise InvalidArgument(f"lstat {missing}: no such file or directory")
    directory, name = places.arrange(here, destination)
    archive = packed(source, name or places.base(source), follow=follow)
    _put(invocation, container, directory, counter.counted(archive))


def _put(invocation: Invocation, container: str, directory: str, archive: Iterator[bytes]) -> None:
    parameters = {"path": directory, "noOverwriteDirNonDir": "true"}
    if invocation["archive"]:
        parameters["copyUIDGID"] = "true"
    path = f"/containers/{container}/archive"
    headers = {"Content-Type": "application/x-tar"}
    response = invocation.client.request("PUT", path, parameters, archive, headers)
    invocation.client.read(response)


def _standard_input() -> Iterator[bytes]:
    while data := os.read(sys.stdin.fileno(), 1 << 18):
        yield data


def _status(invocation: Invocation, container: str, path: str) -> dict[str, Any] | None:
    """Ask what a path in a container is; None for nothing, or where it refuses: what follows says why."""
    try:
        response = invocation.client.request("HEAD", f"/containers/{container}/archive", {"path": path})
    except DaemonError:  # an answer to HEAD has no body, so no reason
        return None
    invocation.client.release(response)
    return _decoded(response.headers[_STAT])


def _decoded(header: str) -> dict[str, Any]:
    from binascii import a2b_base64

    from proa.client.wire import decode

    document: dict[str, Any] = decode(a2b_base64(header))
    return document


def _followed(path: str, found: dict[str, Any] | None) -> str:
    """Return where a link leads, else the path itself."""
    if not found or not found["mode"] & _LINK:
        return path
    target: str = found["linkTarget"]
    return target if target.startswith("/") else os.path.join(os.path.dirname(path), target)


def _quoted(text: str) -> str:
    return f'"{text}"'


COMMAND = Command(
    _run,
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tproa cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    flags=_FLAGS,
    least=2,
    most=2,
)
