"""What the engine does with images: the face of this package to the rest of the engine and to `api/`.

Each verb has its module; here they are joined with the files (layers, blobs) and the events. Records change
first, in one transaction; files that nothing names any more are removed after it, and what a crash in
between leaves is swept at the next start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from proa import wording
from proa.engine.database import Database
from proa.engine.events import Events
from proa.engine.filtering import Filters
from proa.engine.images import list as listing
from proa.engine.images import tag as tagging
from proa.engine.images.history import HistoryItem, history
from proa.engine.images.image import Image, Layer
from proa.engine.images.leases import Leases
from proa.engine.images.remove import Removal, Removed
from proa.engine.images.store import Blobs, ImageStore
from proa.engine.records import Container
from proa.oci import platform as platforms

_log = logging.getLogger(__name__)


class Content(Blobs, Protocol):
    """The part of the content store that images need."""

    def remove(self, digest: str) -> object: ...
    def collect(self, live: set[str]) -> object: ...


class LayerFiles(Protocol):
    """The part of the snapshots' layers that images need."""

    def remove(self, chain_id: str) -> object: ...
    def sweep(self, live: set[str]) -> object: ...


class Images:
    """All images of an engine. `containers` tells which containers there are: they need their layers."""

    def __init__(
        self,
        database: Database,
        content: Content,
        layers: LayerFiles,
        events: Events,
        containers: Callable[[], Iterable[Container]],
    ) -> None:
        self._database = database
        self._content = content
        self._layers = layers
        self._events = events
        self._containers = containers
        self.store = ImageStore(database, content)
        self.leases = Leases()

    def get(self, name: str, platform: str = "") -> Image:
        """Return the image that a user calls `name`: a reference, an identifier or a unique prefix of one.

        Raises `NotFound` in Docker's words, also when it was made for another platform than asked for.
        """
        image = self.store.get(self.store.find(name))
        if image is None:
            raise wording.no_such_image(name)
        if platform:
            wanted = platforms.Platform.parse(platform)
            if not wanted.matches(image.config.platform):
                raise wording.image_of_other_platform(name, str(image.config.platform), str(wanted))
        return image

    def list(self, filters: Filters | None = None, all: bool = False) -> Sequence[Image]:
        """Return images, the newest first; without `all`, none that only serve as others' parents."""
        return listing.select(self.store, filters or {}, all=all)

    def tag(self, source: str, target: str) -> None:
        """Let the name `target` point to the image `source`."""
        image_id, reference = tagging.tag(self.store, source, target)
        self.emit("tag", image_id, reference.familiar)

    def history(self, name: str) -> Sequence[HistoryItem]:
        return history(self.store, self.get(name))

    def remove(self, name: str, force: bool = False, noprune: bool = False) -> Sequence[Removed]:
        """Untag a name, or delete an image with what only it needs; return what went, in Docker's order.

        Raises `Conflict` when names or containers stand against it, and nothing is changed.
        """
        with self._database.transaction():
            removal = Removal(self.store, tuple(self._containers()), self._kept())
            removal.remove(name, force=force, prune=not noprune)
        for event in removal.events:
            self._events.emit("image", event.action, event.image_id, {**event.labels, "name": event.image_id})
        self._remove_files(removal.layers, removal.blobs)
        return removal.records

    def emit(self, action: str, image_id: str, name: str) -> None:
        """Tell of an image as Docker does: its labels are attributes, and so is `name`."""
        image = self.store.get(image_id)
        labels = image.config.labels if image is not None else {}
        self._events.emit("image", action, image_id, {**labels, "name": name})

    def release_layers(self, chain_ids: Iterable[str]) -> None:
        """Remove those of a removed container's layers that no image and no other container needs."""
        with self._database.transaction():
            removed = self.store.layers.delete_unused(reversed(tuple(chain_ids)), self._kept())
        self._remove_files(removed, {layer.blob_digest for layer in removed})

    def release_blobs(self, digests: Iterable[str]) -> None:
        """Remove those blobs that no record names and no operation holds."""
        self._remove_files((), digests)

    def sweep(self) -> None:
        """At start, remove all files that no record names: what interrupted operations left."""
        with self._database.transaction():
            orphans = [layer.chain_id for layer in self.store.layers.all()]
            self.store.layers.delete_unused(orphans, self._kept())
            live = {layer.chain_id for layer in self.store.layers.all()}
        self._layers.sweep(live | self._kept() | self._sealed())
        self._content.collect(self.store.blobs() | self.leases.keys())

    def _kept(self) -> set[str]:
        """Return the chain IDs that containers need, and all that running operations hold."""
        used = {chain_id for container in self._containers() for chain_id in container.all_layers}
        return used | self.leases.keys()

    def _sealed(self) -> set[str]:
        """Return the keys of the layers that containers have made of what they wrote."""
        return {key for container in self._containers() for key in container.own_layers()}

    def _remove_files(self, layers: Iterable[Layer], blobs: Iterable[str]) -> None:
        for layer in layers:
            self._attempt(self._layers.remove, layer.chain_id)
        for digest in blobs:
            if digest and digest not in self.leases and not self.store.has_blob(digest):
                self._attempt(self._content.remove, digest)

    def _attempt(self, remove: Callable[[str], object], key: str) -> None:
        """Remove a file that no record names any more; the request is fulfilled even when this fails."""
        try:
            remove(key)
        except OSError as error:
            _log.warning("cannot remove %s now, the next start will: %s", key, error)
