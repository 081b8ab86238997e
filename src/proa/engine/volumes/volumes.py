"""Volumes: directories that outlive containers. The driver is Docker's `local`.

A volume exists when it has a row and a directory. Creating writes the row first and removing takes the
directory first, so what a crash leaves is half a removal or half a creation nobody was told of, and the next
start finishes either. A directory without a row is somebody's data: it is adopted, never removed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import TypeVar

import msgspec

from proa import times, wording
from proa.engine import filtering
from proa.engine.database import Database
from proa.engine.events import Events
from proa.engine.filtering import Filters
from proa.engine.filters import matches_any
from proa.engine.names import validate_volume_name
from proa.engine.quotas import Quotas
from proa.engine.records import Container
from proa.engine.volumes import options as volume_options
from proa.engine.volumes.copy_up import copy_metadata, copy_up
from proa.engine.volumes.mounts import VolumeMounts
from proa.errors import Conflict, InvalidArgument, KernelError, NotFound, Unsupported
from proa.ids import new_id
from proa.snapshots.trash import Trash

DRIVER = "local"
DATA = "_data"  # what a volume's directory has its contents in
ANONYMOUS_LABEL = "com.docker.volume.anonymous"
LIST_FILTERS = frozenset({"dangling", "driver", "label", "name"})

UNFINISHED = ".new-"  # how directories begin that are to become volumes
_FILLING = "filling"  # a copy from an image, not complete
_FILLED = "filled"  # complete, on its way into the volume

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class Volume(msgspec.Struct, kw_only=True, frozen=True):
    """One volume. `created` is in nanoseconds since the epoch."""

    name: str
    driver: str = DRIVER
    labels: dict[str, str] = {}
    options: dict[str, str] = {}
    created: int = 0

    @property
    def anonymous(self) -> bool:
        return ANONYMOUS_LABEL in self.labels


class Volumes:
    """All volumes of an engine, below `root`. `containers` tells which containers there are and use them."""

    def __init__(
        self,
        root: Path,
        database: Database,
        events: Events,
        trash: Trash,
        containers: Callable[[], Iterable[Container]],
    ) -> None:
        self._root = root
        self._database = database
        self._events = events
        self._trash = trash
        self._quotas = Quotas(root)
        self._containers = containers
        self._fill_lock = Lock()
        self.mounts = VolumeMounts(self.mountpoint, self._options)
        root.mkdir(mode=0o711, parents=True, exist_ok=True)
        rows = database.rows("SELECT record FROM volumes ORDER BY name")
        records = [msgspec.json.decode(record, type=Volume) for (record,) in rows]
        # What the database has: it belongs to one thread, `fill` runs in others.
        self._volumes = {volume.name: volume for volume in records}
        self._reconcile()

    def create(
        self,
        name: str = "",
        driver: str = "",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Volume:
        """Return the volume `name`, made when missing; without a name, a new anonymous one.

        Raises `InvalidArgument`, `NotFound` for an unknown driver, `Unsupported` for a limit that the file
        system can not keep, and `Conflict` when it exists with other options than those given.
        """
        anonymous = not name
        name = _explained(name, validate_volume_name) if name else new_id()
        if driver not in ("", DRIVER):
            raise NotFound(f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found')
        size = _explained(name, lambda _: self._check_options(options or {}))
        existing = self._volumes.get(name)
        if existing is not None:
            if options and dict(options) != existing.options:
                raise Conflict(f"create {name}: the volume exists with other options")
            return existing
        volume = Volume(
            name=name,
            labels={**(labels or {}), **({ANONYMOUS_LABEL: ""} if anonymous else {})},
            options=dict(options or {}),
            created=times.now(),
        )
        self._save(volume)
        try:
            self._make(self._root / name, size)
        except BaseException:
            self._forget(name)
            raise
        self._events.emit("volume", "create", name, {"driver": DRIVER})
        return volume

    def adopt(self, volume: Volume, directory: Path) -> Volume:
        """Make `directory`, whole with its `_data`, a new volume. Raises `Conflict` for a name that is taken."""
        self.check_free(volume.name)
        self._save(volume)
        try:
            directory.rename(self._root / volume.name)
        except OSError as error:
            self._forget(volume.name)
            raise KernelError(f"create volume {volume.name}", error.errno or 0) from error
        self._events.emit("volume", "create", volume.name, {"driver": DRIVER})
        return volume

    def check_free(self, name: str) -> str:
        """Return a name that a new volume can have. Raises `InvalidArgument` and `Conflict`."""
        _explained(name, validate_volume_name)
        if name in self._volumes:
            raise Conflict(f"create {name}: a volume with this name exists")
        return name

    def unfinished(self, options: Mapping[str, str] | None = None) -> Path:
        """Make a directory with an empty `_data`, for `adopt`; a new engine removes one that is left."""
        directory = self._root / f"{UNFINISHED}{new_id()[:12]}"
        self._make(directory, self._check_options(options or {}))
        return directory

    def discard(self, directory: Path) -> None:
        """Throw away a volume's directory, with its limit. Raises `OSError`."""
        self._quotas.release(directory)
        self._trash.discard(directory)

    def rename(self, name: str, new_name: str) -> Volume:
        """Give a volume another name; an anonymous one is no longer so. Raises `Conflict` while it is in use.

        The new row is written first and the old one goes last: whenever a kill comes, one of them has the
        directory, and the next start removes the other.
        """
        volume = self.get(name)
        self.check_free(new_name)
        if users := [*self.users(name), *self.mounts.users(name)]:
            raise Conflict(
                f"rename {name}: volume is in use - [{', '.join(users)}]",
                hint="a container keeps the names of its volumes: remove it first",
            )
        labels = {key: value for key, value in volume.labels.items() if key != ANONYMOUS_LABEL}
        renamed = msgspec.structs.replace(volume, name=new_name, labels=labels)
        self._save(renamed)
        try:
            self.mounts.remove(name)
            (self._root / name).rename(self._root / new_name)
        except OSError as error:
            self._forget(new_name)
            raise KernelError(f"rename volume {name}", error.errno or 0) from error
        self._forget(name)
        self._events.emit("volume", "rename", new_name, {"driver": DRIVER, "oldName": name})
        return renamed

    def get(self, name: str) -> Volume:
        """Return a volume. Raises `NotFound`."""
        volume = self._volumes.get(name)
        if volume is None:
            raise wording.no_such_volume(name)
        return volume

    def list(self, filters: Filters | None = None) -> Sequence[Volume]:
        """Return the volumes that pass every filter, by name. Raises `InvalidArgument` for unknown filters."""
        filters = filters or {}
        filtering.check(filters, LIST_FILTERS)
        dangling = filtering.boolean(filters, "dangling")
        used = self._used()
        return [
            volume
            for _, volume in sorted(self._volumes.items())
            if (dangling is None or dangling == (volume.name not in used))
            and filtering.exact(filters, "driver", volume.driver)
            and filtering.labelled(filters, "label", volume.labels)
            and (not filters.get("name") or matches_any(filters["name"], volume.name))
        ]

    def remove(self, name: str, force: bool = False) -> None:
        """Remove a volume with all that is in it; with `force`, a missing one is no error.

        Raises `NotFound`, and `Conflict` while a container has it, even a stopped one.
        """
        volume = self._volumes.get(name)
        if volume is None:
            if force:
                return
            raise wording.no_such_volume(name)
        if users := self.users(name):
            raise wording.volume_in_use(name, list(users))
        if working := self.mounts.users(name):
            raise wording.volume_in_use(name, list(working))
        try:
            self.mounts.remove(name)
            self.discard(self._root / name)
        except OSError as error:
            raise KernelError(f"remove volume {name}", error.errno or 0) from error
        self._forget(name)
        self._events.emit("volume", "destroy", name, {"driver": DRIVER})

    def remove_unused(self, name: str) -> bool:
        """Remove a volume unless a container has it; return whether it is gone. For `rm -v` and `--rm`."""
        if self.users(name):
            return False
        self.remove(name, force=True)
        return True

    def users(self, name: str) -> Sequence[str]:
        """Return the identifiers of the containers that have the volume."""
        return sorted(
            container.id
            for container in self._containers()
            if any(point.type == "volume" and point.name == name for point in container.mounts)
        )

    def mountpoint(self, name: str) -> Path:
        """Return the volume's own directory, which `inspect` shows."""
        return self._root / name / DATA

    def path(self, name: str) -> Path:
        """Return the directory that containers mount: a bound one, or the volume's own. Raises `NotFound`."""
        bound = volume_options.bound_directory(self.get(name).options)
        return Path(bound) if bound else self.mountpoint(name)

    # Copy-up: what the image has at the volume's place

    def is_fresh(self, name: str) -> bool:
        """Whether `fill` has something to do: the volume is empty, or an earlier fill was interrupted."""
        if (self._root / name / _FILLED).exists():
            return True
        try:
            with os.scandir(self.path(name)) as entries:
                return next(entries, None) is None
        except FileNotFoundError:
            return False  # a device that is not there: the start will tell

    def fill(self, name: str, source: int | str | os.PathLike[str]) -> None:
        """Copy the directory `source` (path or descriptor) into the volume if it is fresh.

        The copy is made aside and moved in when it is whole. Whether killed before or after that point, the
        next fill ends it. Blocks; may be called from any thread.
        """
        with self._fill_lock:
            if not self.is_fresh(name):
                return
            target = self.path(name)
            if "device" in self.get(name).options:
                copy_up(source, target)  # another file system, as a rule: there is no aside
                return
            filling, filled = self._root / name / _FILLING, self._root / name / _FILLED
            if not filled.exists():
                self._trash.discard(filling)
                filling.mkdir(mode=0o700)
                copy_up(source, filling)
                filling.rename(filled)
            _move_in(filled, target)
            self._trash.discard(filled)

    # Directories

    def _check_options(self, options: Mapping[str, str]) -> int:
        """Return the limit in bytes, 0 for none."""
        volume_options.check(options)
        size = volume_options.size(options)
        if size:
            self._quotas.check("quota size requested but no quota support")
        return size

    def _make(self, directory: Path, size: int) -> None:
        """Make a volume's directory: whole, or without `_data`."""
        try:
            directory.mkdir(mode=0o755, exist_ok=True)
            if size:
                self._quotas.limit([directory], size)
            (directory / DATA).mkdir(mode=0o755)
        except OSError as error:
            raise KernelError(f"create volume {directory.name}", error.errno or 0) from error

    # Records

    def _save(self, volume: Volume) -> None:
        self._database.execute(
            "INSERT INTO volumes (name, record) VALUES (?, ?)", (volume.name, msgspec.json.encode(volume))
        )
        self._volumes[volume.name] = volume

    def _forget(self, name: str) -> None:
        self._database.execute("DELETE FROM volumes WHERE name = ?", (name,))
        self._volumes.pop(name, None)

    def _options(self, name: str) -> Mapping[str, str]:
        volume = self._volumes.get(name)
        return volume.options if volume else {}

    def _used(self) -> set[str]:
        return {point.name for container in self._containers() for point in container.mounts if point.name}

    def _reconcile(self) -> None:
        """End what a crash interrupted: see the module's docstring."""
        known = set(self._volumes)
        present = {path.name for path in self._root.iterdir() if (path / DATA).is_dir()}
        for name in sorted(known - present):
            self.discard(self._root / name)
            self._forget(name)
        for path in self._root.glob(f"{UNFINISHED}*"):
            self.discard(path)
        for name in sorted(present - known):
            try:
                validate_volume_name(name)
            except InvalidArgument:
                continue
            _log.warning("volume %s has a directory but no record: it is adopted", name)
            created = (self._root / name).stat().st_mtime_ns
            self._save(Volume(name=name, created=created))


def _explained(name: str, check: Callable[[str], _Result]) -> _Result:
    """Let errors of `create` name the volume, as Docker's do."""
    try:
        return check(name)
    except (InvalidArgument, Unsupported) as error:
        raise type(error)(f"create {name}: {error.message}", hint=error.hint) from None


def _move_in(filled: Path, target: Path) -> None:
    """Move the entries of `filled` into `target`, which then gets the owner, mode and times it has."""
    with ExitStack() as stack:
        descriptors = []
        for directory in (filled, target):
            descriptors.append(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            stack.callback(os.close, descriptors[-1])
        source, destination = descriptors
        status = os.fstat(source)  # moving changes its times
        there = set(os.listdir(destination))
        for name in os.listdir(source):
            if name not in there:
                os.rename(name, name, src_dir_fd=source, dst_dir_fd=destination)
        copy_metadata(source, destination, status)
