"""`rmi`: which names and which images go, by the rules of Docker's classic image store.

A name is untagged; the image goes with its last name, and with it ancestors that were built here and that
nobody needs. Conflicts are hard (children, running containers: not even force helps) or soft (other names,
stopped containers). Everything here happens in the caller's transaction; files and events come after it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import Flag, auto
from typing import NamedTuple

import msgspec

from proa import wording
from proa.engine.images.image import Image, Layer
from proa.engine.images.store import ImageStore
from proa.engine.records import Container
from proa.errors import Conflict
from proa.ids import short
from proa.oci.reference import Reference


class Removed(msgspec.Struct, kw_only=True):
    """One line of the answer: a name that is gone, or the identifier of an image or layer that is."""

    untagged: str = ""
    deleted: str = ""


class ImageEvent(NamedTuple):
    """What is to be told after the transaction."""

    action: str
    image_id: str
    labels: dict[str, str]


class _Obstacle(Flag):
    """What can stand against deleting an image."""

    CHILD = auto()
    RUNNING = auto()
    NAMED = auto()
    STOPPED = auto()
    HARD = CHILD | RUNNING
    SOFT = NAMED | STOPPED
    USED = RUNNING | STOPPED


class Removal:
    """One removal: its answer, and what is left to do after its transaction."""

    def __init__(self, store: ImageStore, containers: Sequence[Container], keep: Collection[str]) -> None:
        self._store = store
        self._containers = containers
        self._keep = keep
        self.records: list[Removed] = []
        self.events: list[ImageEvent] = []
        self.layers: list[Layer] = []
        self.blobs: set[str] = set()  # no longer named by what was removed; others may still need them

    def remove(self, name: str, *, force: bool, prune: bool) -> None:
        """Remove what the user calls `name`; with `prune`, unneeded ancestors too.

        Raises `NotFound`, `InvalidArgument`, and `Conflict` when something stands against it.
        """
        image_id = self._store.find(name)
        by_name = not image_id.startswith(name) and not image_id.removeprefix("sha256:").startswith(name)
        if by_name:
            self._remove_name(name, image_id, force)
            if self._store.references(image_id):
                return
        elif _is_single(self._store.references(image_id)):
            self._refuse(image_id, _Obstacle.HARD if force else _Obstacle.HARD | _Obstacle.STOPPED)
            self._untag_all(image_id)
        self._delete(image_id, force=force, prune=prune, quiet=by_name)

    def _remove_name(self, name: str, image_id: str, force: bool) -> None:
        """Untag one name; with the last tag in a repository go the digests in it."""
        if not force and _is_single(self._store.references(image_id)):
            user = next((each for each in self._containers if each.needs_image(image_id)), None)
            if user is not None:  # without its last name the image would only be left behind
                raise wording.name_used_by_container(name, user.id, image_id)
        reference = Reference.parse(name)
        if reference.digest:
            reference = reference.with_digest(reference.digest)  # a digest beats a tag
        self._untag(reference, image_id)
        rest = self._store.references(image_id)
        siblings = [other for other in rest if other.name == reference.name]
        if not reference.digest and all(other.digest for other in siblings):
            for sibling in siblings:
                self._untag(sibling, image_id, silent=True)

    def _untag(self, reference: Reference, image_id: str, *, silent: bool = False) -> None:
        if not silent:
            self.events.append(ImageEvent("untag", image_id, self._image(image_id).config.labels))
        self._store.untag(reference)
        self.records.append(Removed(untagged=reference.familiar))
        if reference.digest:
            self.blobs.add(reference.digest)

    def _untag_all(self, image_id: str) -> None:
        for reference in self._store.references(image_id):
            self._untag(reference, image_id)

    def _delete(self, image_id: str, *, force: bool, prune: bool, quiet: bool) -> None:
        """Delete an image and, with `prune`, then its parent. `quiet` leaves a needed one without a word."""
        mask = _Obstacle.HARD if force else _Obstacle.HARD | _Obstacle.SOFT
        if quiet and self._obstacle(image_id, mask) is not None:
            return
        self._refuse(image_id, mask)
        image = self._image(image_id)
        self._untag_all(image_id)
        self.blobs.update((image.id, image.manifest_digest))
        removed = self._store.delete(image_id, self._keep)
        self.layers.extend(removed)
        self.blobs.update(layer.blob_digest for layer in removed)
        self.events.append(ImageEvent("delete", image_id, {}))
        self.records.append(Removed(deleted=image_id))
        self.records.extend(Removed(deleted=layer.chain_id) for layer in removed)
        if prune and image.parent and self._store.get(image.parent) is not None:
            self._delete(image.parent, force=False, prune=True, quiet=True)

    def _refuse(self, image_id: str, mask: _Obstacle) -> None:
        obstacle = self._obstacle(image_id, mask)
        if obstacle is not None:
            raise obstacle

    def _obstacle(self, image_id: str, mask: _Obstacle) -> Conflict | None:
        """Return the first of the obstacles in `mask` that there is, in Docker's order and words."""
        if _Obstacle.CHILD in mask and self._store.children(image_id):
            return wording.image_conflict(image_id, "image has dependent child images", hard=True)
        users = [each for each in self._containers if each.needs_image(image_id)]
        running = next((each for each in users if each.running), None)
        if _Obstacle.RUNNING in mask and running is not None:
            reason = f"image is being used by running container {short(running.id)}"
            return wording.image_conflict(image_id, reason, hard=True)
        if _Obstacle.NAMED in mask and self._store.references(image_id):
            return wording.image_conflict(image_id, "image is referenced in multiple repositories", hard=False)
        stopped = next((each for each in users if not each.running), None)
        if _Obstacle.STOPPED in mask and stopped is not None:
            reason = f"image is being used by stopped container {short(stopped.id)}"
            return wording.image_conflict(image_id, reason, hard=False)
        return None

    def _image(self, image_id: str) -> Image:
        image = self._store.get(image_id)
        if image is None:
            raise wording.no_such_image(image_id)
        return image


def _is_single(references: Sequence[Reference]) -> bool:
    """Whether all references are in one repository and at most one is a tag; False for none."""
    tags = [reference for reference in references if reference.tag]
    repositories = {reference.name for reference in references}
    return len(tags) <= 1 and len(repositories) == 1
