"""`cp` and `export`: parts of a container's root out of it and into it, as archives.

A running container is seen through its own mount namespace, one that does not run through a view of our own
(`view.py`) with its volumes. No program of the container takes part (CVE-2019-14271), and every path is
resolved by the kernel inside the root at the moment of its use (CVE-2018-15664).
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from proa.archive.dump import write_entry, write_root
from proa.archive.extract import extract
from proa.engine.containers import view
from proa.engine.images.feed import Feed, fed
from proa.engine.outflow import Outflow
from proa.engine.own_thread import in_own_thread
from proa.engine.records import Container
from proa.errors import Conflict, InvalidArgument, KernelError, NotFound
from proa.runtime import inroot, users
from proa.runtime.failure import SetupError

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers

_Result = TypeVar("_Result")
_MACHINE_FAULTS = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE,
})  # fmt: skip
# What the runtime mounts over files and directories of the root, beside volumes.
_COVERED = (b"dev", b"proc", b"sys", b"etc/hosts", b"etc/hostname", b"etc/resolv.conf")


class PathStat(msgspec.Struct, kw_only=True, frozen=True):
    """What is known of a path. `mode` is as in stat(2), `modified` in nanoseconds since the epoch."""

    name: str
    size: int
    mode: int
    modified: int
    target: str = ""  # of a link: the path that it leads to, inside the container


async def status(containers: Containers, record: Container, path: str) -> PathStat:
    """Say what `path` is; a link is not followed unless a slash follows. Raises `NotFound`."""
    return await _within(containers, record, lambda root: _status(root, record, path))


@asynccontextmanager
async def read(
    containers: Containers, record: Container, path: str
) -> AsyncIterator[tuple[PathStat, AsyncIterator[bytes]]]:
    """Give what `path` is and the archive of it. What goes wrong before there is a first piece of it, raises."""
    flow = Outflow()
    loop = asyncio.get_running_loop()
    found: asyncio.Future[PathStat] = loop.create_future()

    def work(root: int) -> None:
        status = _status(root, record, path)
        parent, name = _parent(root, record, path)
        begun = False

        def put(piece: bytes) -> None:
            nonlocal begun
            if not begun:
                begun = True
                loop.call_soon_threadsafe(found.set_result, status)
            flow.put(piece)

        try:
            with _explained():
                write_entry(parent, os.fsencode(name), _base(path), put)
        finally:
            os.close(parent)

    async with _running(_within(containers, record, work), flow) as task:
        await asyncio.wait((found, task), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        containers.emit("archive-path", record)
        yield await found, flow.pieces(task)


@asynccontextmanager
async def export(containers: Containers, record: Container) -> AsyncIterator[AsyncIterator[bytes]]:
    """Give the archive of the whole root, without what is mounted in it."""
    flow = Outflow()
    covered = {*_COVERED, *(os.fsencode(point.destination.strip("/")) for point in record.mounts)}

    def work(root: int) -> None:
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
        try:
            write_root(descriptor, covered if record.running else (), flow.put)
        finally:
            os.close(descriptor)

    async with _running(_within(containers, record, work, mounts=False), flow) as task:
        containers.emit("export", record)
        yield flow.pieces(task)


async def write(
    containers: Containers,
    record: Container,
    path: str,
    chunks: AsyncIterable[bytes],
    *,
    keep_kinds: bool = False,
    as_user: bool = False,
) -> None:
    """Unpack an archive into the directory `path`, which must be there.

    `keep_kinds`: no directory is replaced by a file, nor the other way round. `as_user`: all belongs to the
    container's user. Raises `NotFound`, `InvalidArgument` and `Conflict` for places where nothing can be.
    """
    feed = Feed()

    def work(root: int) -> None:
        try:
            with _explained():
                directory = _destination(root, record, path)
                owner = _owner(root, record) if as_user else None
                extract(feed, root, directory, keep_kinds=keep_kinds, owner=owner)
        finally:
            feed.stop()  # who still feeds must not wait

    await fed(_within(containers, record, work), feed, chunks)
    containers.emit("extract-to-dir", record)


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None], flow: Outflow) -> AsyncIterator[asyncio.Future[None]]:
    """Run what fills `flow`; whoever leaves early ends it."""
    task: asyncio.Future[None] = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        await flow.end(task)


@contextmanager
def _explained() -> Iterator[None]:
    """Blame the archive or the path for what the kernel refuses, unless the machine is what lacks something."""
    try:
        yield
    except KernelError as error:
        if error.errno in _MACHINE_FAULTS:
            raise
        raise InvalidArgument(error.message) from error


async def _within(
    containers: Containers, record: Container, work: Callable[[int], _Result], *, mounts: bool = True
) -> _Result:
    """Return `work(root)`, run in a thread, for the root as the container sees or would see it."""
    try:
        if not record.running:
            return await view.within(containers, record, work, mounts=mounts)
        root = os.open(f"/proc/{record.state.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        containers.get(record.id)  # it may have been removed
        # A start mounts the same layer, and the kernel refuses the later of the two.
        changing = record.running or containers.lock(record).locked()
        if error.errno not in (errno.ENOENT, errno.ESRCH) and not changing:
            raise
        raise Conflict(f"container {record.id} began or ended at this moment: try again") from error

    def run() -> _Result:
        try:
            return work(root)
        finally:
            os.close(root)

    return await in_own_thread(run)


def _status(root: int, record: Container, path: str) -> PathStat:
    parent, name = _parent(root, record, path)
    try:
        found = os.lstat(name, dir_fd=parent)
        target = ""
        if stat.S_ISLNK(found.st_mode):
            target = _evaluate(root, os.path.dirname(_plain(path)), os.readlink(name, dir_fd=parent))
    except FileNotFoundError:
        raise _not_found(record, path) from None
    except OSError as error:
        raise InvalidArgument(f"lstat {path}: {(error.strerror or str(error)).lower()}") from None
    finally:
        os.close(parent)
    return PathStat(
        name=os.fsdecode(_base(path)) or "/",
        size=found.st_size,
        mode=found.st_mode,
        modified=found.st_mtime_ns,
        target=target,
    )


def _plain(path: str) -> str:
    """Return an absolute path without "." and ".."; what these are, clients mean by the words."""
    return os.path.normpath("/" + path.lstrip("/"))


def _base(path: str) -> bytes:
    """Return the name that the archive has for what `path` is: "." for "x/.", "" for the root."""
    if path.endswith("/."):
        return b"."
    return os.fsencode(os.path.basename(_plain(path)))


def _parent(root: int, record: Container, path: str) -> tuple[int, str]:
    """Open the directory that `path` is in; with a slash behind, the one that it is, following links."""
    plain = _plain(path)
    itself = plain == "/" or path.endswith(("/", "/."))
    try:
        opened = plain if itself else os.path.dirname(plain)
        descriptor = inroot.open_in_root(root, opened, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        raise _not_found(record, path) from None
    except NotADirectoryError:
        raise InvalidArgument(f"lstat {path}: not a directory") from None
    except OSError as error:
        raise InvalidArgument(f"lstat {path}: {(error.strerror or str(error)).lower()}") from None
    return descriptor, "." if itself else os.path.basename(plain)


def _not_found(record: Container, path: str) -> NotFound:
    return NotFound(f"Could not find the file {path} in container {record.name}")


def _evaluate(root: int, base: str, path: str) -> str:
    try:
        return inroot.evaluate(root, base, path)
    except OSError as error:
        raise InvalidArgument(f"lstat {path}: {(error.strerror or str(error)).lower()}") from None


def _destination(root: int, record: Container, path: str) -> bytes:
    """Return the real path of the directory to unpack into; raises for one that takes nothing."""
    real = _evaluate(root, "/", path)
    try:
        descriptor = inroot.open_in_root(root, real)
    except (FileNotFoundError, NotADirectoryError):
        raise _not_found(record, path) from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISDIR(found.st_mode):
            raise InvalidArgument("extraction point is not a directory")
        if os.fstatvfs(descriptor).f_flag & os.ST_RDONLY:
            own = found.st_dev == os.fstat(root).st_dev
            raise InvalidArgument(
                "container rootfs is marked read-only" if own else "mounted volume is marked read-only"
            )
    finally:
        os.close(descriptor)
    return os.fsencode(real.strip("/"))


def _owner(root: int, record: Container) -> tuple[int, int] | None:
    """Return the container's user and group, None where it has none of its own: the archive's are kept."""
    if not record.options.user:
        return None
    try:
        identity = users.resolve(record.options.user, [], root)
    except SetupError as error:
        raise InvalidArgument(error.message) from error
    return identity.uid, identity.gid
