"""The store of unpacked layers: one directory each, immutable once committed, named after the chain ID."""

from __future__ import annotations

import base64
import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from proa.archive import attributes
from proa.archive.compare import differences
from proa.archive.directories import OPEN_DIRECTORY
from proa.archive.lowers import Lowers
from proa.archive.overlay import is_opaque
from proa.archive.tree import tree_size
from proa.archive.unpack import Unpacked
from proa.errors import KernelError, NotFound
from proa.linux.openat import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from proa.snapshots.durability import Durability
from proa.snapshots.trash import Trash

NAME_LENGTH = 26
_BASE = "base"
_EMPTY = (".empty/a", ".empty/b")  # below an image that is mounted by itself: overlayfs wants two directories
_NEW = ".new"
_PARENTS = ".parents"  # a link for each layer: its name to that of the layer below
_TRASH = ".trash"

# What the runtime mounts something over in every container. Shown by the lowest layer of all, these need
# not be made in each container's own, where they would look like changes. Modes as Docker's.
_MOUNT_POINTS: tuple[tuple[str, int], ...] = (
    ("dev", stat.S_IFDIR | 0o755),
    ("dev/pts", stat.S_IFDIR | 0o755),
    ("dev/shm", stat.S_IFDIR | 0o755),
    ("dev/console", stat.S_IFREG | 0o755),
    ("etc", stat.S_IFDIR | 0o755),
    ("etc/hostname", stat.S_IFREG | 0o755),
    ("etc/hosts", stat.S_IFREG | 0o755),
    ("etc/resolv.conf", stat.S_IFREG | 0o755),
    ("proc", stat.S_IFDIR | 0o755),
    ("sys", stat.S_IFDIR | 0o755),
    (".dockerenv", stat.S_IFREG | 0o755),
)


def name_of(chain_id: str) -> str:
    """Return the directory name of a layer: 128 bits of its chain ID, short enough for 125 in a mount."""
    digest = bytes.fromhex(chain_id.removeprefix("sha256:"))
    return base64.b32encode(digest[:16]).decode("ascii").rstrip("=").lower()


class Layers:
    """Unpacked layers below `root`; `trash` may be shared with others on the same file system.

    Safe for threads. `sweep` alone must run before anybody prepares a layer.
    """

    def __init__(self, root: Path, trash: Trash | None = None) -> None:
        self.root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (_NEW, _PARENTS):
            (root / name).mkdir(mode=0o700, exist_ok=True)
        for name in _EMPTY:
            (root / name).mkdir(parents=True, exist_ok=True)
            (root / name).chmod(0o755)
        self.trash = trash or Trash(root / _TRASH)
        self._durability = Durability(root)
        for name in self._durability.doubtful():
            self.trash.discard(root / name)
            self._durability.forget(name)
        self._make_base()

    def prepare(self, chain_id: str) -> Path:
        """Return a new empty directory to unpack a layer into; `commit` or `discard` ends its life."""
        directory = self.root / _NEW / f"{name_of(chain_id)}.{os.urandom(6).hex()}"
        with _explained("prepare a layer"):
            _make_directory(directory)
        return directory

    def commit(self, directory: Path, chain_id: str, parent: str, unpacked: Unpacked) -> None:
        """Make a prepared directory the layer `chain_id`, atomically; if that is there, drop the directory.

        `parent` is the chain ID of the layer below ("" for none), already committed. Directories that the
        archive uses but does not describe take owner, mode and the like from the layers below: else a layer
        with nothing but "tmp/x" would turn /tmp into 0755. Raises `KernelError`; then nothing has happened.
        """
        with _explained(f"commit layer {chain_id}"):
            self._commit(directory, chain_id, parent, unpacked)

    def _commit(self, directory: Path, chain_id: str, parent: str, unpacked: Unpacked) -> None:
        name = name_of(chain_id)
        above = name_of(parent) if parent else _BASE
        self._inherit(directory, above, unpacked.implied)
        link = self.root / _PARENTS / name
        temporary = link.with_name(directory.name)
        temporary.symlink_to(above)
        temporary.rename(link)
        self._durability.expect(name)
        try:
            directory.rename(self.root / name)
        except OSError:
            if not self.has(chain_id):
                raise
            self.discard(directory)
        self._durability.settle()

    def adopt(self, directory: Path, key: str) -> None:
        """Make a container's writable directory, or a prepared copy of one, the layer `key` by renaming it.

        It has no chain ID: `key` is 64 random hexadecimal digits. If the layer is there already, nothing is
        done: an earlier attempt came so far. Raises `OSError`.
        """
        try:
            directory.rename(self.root / name_of(key))
        except FileNotFoundError:
            if not self.has(key):
                raise

    def clear(self, directory: Path) -> None:
        """Empty a prepared directory: what was unpacked into it is not wanted after all."""
        self.trash.discard(directory)
        _make_directory(directory)

    def discard(self, directory: Path) -> None:
        """Throw a prepared directory away."""
        self.trash.discard(directory)

    def has(self, chain_id: str) -> bool:
        """Whether the layer is committed."""
        return (self.root / name_of(chain_id)).is_dir()

    def directory(self, chain_id: str) -> Path:
        """Return the directory of a committed layer; raises `NotFound`."""
        directory = self.root / name_of(chain_id)
        if not directory.is_dir():
            raise NotFound(f"layer {chain_id} does not exist")
        return directory

    def compare(self, directory: Path, chain_id: str, parent: str, unpacked: Unpacked) -> list[str]:
        """Return how a layer differs from a prepared directory with the same blob unpacked; [] for not at all.

        Raises `NotFound` when the layer is missing, `OSError` when it can not be read.
        """
        self._inherit(directory, name_of(parent) if parent else _BASE, unpacked.implied)
        return differences(self.directory(chain_id), directory, unpacked.implied)

    def replace(self, directory: Path, chain_id: str) -> None:
        """Put a prepared directory that `compare` has seen in the place of a layer that no container has mounted.

        A crash in between leaves no layer: its blob is unpacked again at the next start. Raises `OSError`.
        """
        name = name_of(chain_id)
        self.trash.discard(self.root / name)
        self._durability.expect(name)
        directory.rename(self.root / name)
        self._durability.settle()

    def remove(self, chain_id: str) -> None:
        """Remove a layer; no error if it is missing. No container may have it mounted."""
        self.trash.discard(self.root / name_of(chain_id))

    def size(self, chain_id: str) -> int:
        """Return the bytes in a layer's files, counted anew."""
        descriptor = os.open(self.directory(chain_id), OPEN_DIRECTORY)
        try:
            return tree_size(descriptor)
        finally:
            os.close(descriptor)

    def sweep(self, live: Iterable[str]) -> list[str]:
        """Remove what a crash left: unfinished layers and those not in `live`.

        Returns the chain IDs in `live` that are not here (any more): layers whose data a power loss may have
        taken are gone too. Their blobs must be unpacked again.
        """
        chain_ids = {name_of(chain_id): chain_id for chain_id in live}
        for path in self.root.iterdir():
            if len(path.name) == NAME_LENGTH and path.name not in chain_ids:
                self.trash.discard(path)
        for path in (self.root / _NEW).iterdir():
            self.trash.discard(path)
        for path in (self.root / _PARENTS).iterdir():
            if path.name not in chain_ids:
                path.unlink()
        self.trash.empty()
        self._durability.settle()
        return [chain_id for name, chain_id in chain_ids.items() if not (self.root / name).is_dir()]

    def stack(self, chain_ids: Sequence[str]) -> list[str]:
        """Return names, relative to `root` and topmost first, of what to stack for `chain_ids` (base first).

        A layer that hides everything below it ends the stack: overlayfs ignores the mark on a root. Last
        comes a layer of mount points. Raises `NotFound` for a missing layer.
        """
        return self._visible(self.directory(chain_id).name for chain_id in reversed(chain_ids))

    def bare_stack(self, chain_ids: Sequence[str]) -> list[str]:
        """As `stack`, without mount points: what an image has and nothing else."""
        names = self.stack(chain_ids)[:-1]
        return [*names, *_EMPTY[len(names[:1]) :]]

    def close(self) -> None:
        """End the background work; what is left of it is taken up by the next engine."""
        self._durability.close()
        self.trash.close()

    def _visible(self, names: Iterable[str]) -> list[str]:
        shown = []
        for name in names:
            shown.append(name)
            if is_opaque(str(self.root / name)):
                break
        return [*shown, _BASE]

    def _ancestors(self, name: str) -> Iterator[str]:
        """Yield a layer's name and those below it."""
        while name != _BASE:
            yield name
            name = os.readlink(self.root / _PARENTS / name)

    def _inherit(self, directory: Path, above: str, implied: Sequence[bytes]) -> None:
        if not implied or above == _BASE:
            return
        names = self._visible(self._ancestors(above))[:-1]
        root = os.open(directory, OPEN_DIRECTORY)
        try:
            with Lowers(self.root / name for name in names) as lowers:
                for path in implied:
                    _copy_directory(lowers, path, root)
        finally:
            os.close(root)

    def _make_base(self) -> None:
        """Make the layer of mount points; complete or not there at all."""
        if (self.root / _BASE).is_dir():
            return
        directory = self.root / _NEW / f"{_BASE}.{os.urandom(6).hex()}"
        _make_directory(directory)
        for name, mode in _MOUNT_POINTS:
            path = directory / name
            if stat.S_ISDIR(mode):
                path.mkdir()
            else:
                path.touch()
            path.chmod(stat.S_IMODE(mode))
        (directory / "etc/mtab").symlink_to("/proc/mounts")
        directory.rename(self.root / _BASE)


@contextmanager
def _explained(operation: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KernelError(operation, error.errno or errno.EIO) from error


def _make_directory(directory: Path) -> None:
    directory.mkdir()
    # Neither the umask nor a set-group-id bit above may show in a layer.
    os.chown(directory, os.geteuid(), os.getegid())
    directory.chmod(0o755)


def _copy_directory(lowers: Lowers, path: bytes, root: int) -> None:
    """Give the directory `path` in `root` what `lowers` say about it, if it is a directory there too."""
    found = lowers.resolve(path)
    if found is None or not stat.S_ISDIR(found[1].st_mode):
        return
    layer, status = found
    resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
    try:
        target = openat2(root, path, OPEN_DIRECTORY, resolve=resolve)
    except (FileNotFoundError, NotADirectoryError):
        return  # a later entry replaced it
    try:
        source = openat2(layer, path, OPEN_DIRECTORY, resolve=resolve)
        try:
            os.fchown(target, status.st_uid, status.st_gid)
            os.fchmod(target, stat.S_IMODE(status.st_mode))
            attributes.set_all(target, attributes.get_all(source))
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(source)
    finally:
        os.close(target)
