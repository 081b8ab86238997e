"""`images`: which images there are, by Docker's filters."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from proa import times
from proa.engine import filtering
from proa.engine.filtering import Filters
from proa.engine.images import globs
from proa.engine.images.image import Image
from proa.engine.images.store import ImageStore
from proa.oci.reference import Reference

ACCEPTED = frozenset({"dangling", "label", "before", "since", "reference", "until"})


def select(store: ImageStore, filters: Filters, *, all: bool = False) -> list[Image]:
    """Return the images that pass every filter, the newest first.

    Without `all`, images without a name that are the parents of others are left out. With the filter
    `reference`, an image has only those of its names that match. Raises `InvalidArgument` for a filter that
    makes no sense, `NotFound` when the image of `before` or `since` does not exist.
    """
    filtering.check(filters, ACCEPTED)
    dangling = filtering.boolean(filters, "dangling")
    after, before = _period(store, filters)
    images = store.all()
    parents = {image.parent for image in images}
    selected = [
        image
        for image in images
        if (all or image.names or image.repo_digests or image.id not in parents)
        and (dangling is not True or (not image.names and image.id not in parents))
        and (dangling is not False or image.names or image.repo_digests)
        and (after is None or image.created > after)
        and (before is None or image.created < before)
        and filtering.labelled(filters, "label", image.config.labels)
    ]
    if filters.get("reference"):
        selected = _named_like(selected, filters["reference"])
    return sorted(selected, key=lambda image: image.created, reverse=True)


def _period(store: ImageStore, filters: Filters) -> tuple[int | None, int | None]:
    """Return the moments after and before which images must have been created, None for no limit."""
    now = times.now()
    after = [_created(store, name) for name in filters.get("since", ())]
    before = [_created(store, name) for name in filters.get("before", ())]
    before += [times.parse_moment(text, now) for text in filters.get("until", ())]
    return max(after, default=None), min(before, default=None)


def _created(store: ImageStore, name: str) -> int:
    image = store.get(store.find(name))
    return image.created if image is not None else 0


def _named_like(images: list[Image], patterns: Collection[str]) -> list[Image]:
    """Return the images with a name that matches one of `patterns`, whole or without tag and digest."""
    matchers = [globs.matcher(pattern) for pattern in patterns]

    def matches(name: str) -> bool:
        reference = Reference.parse(name)
        texts = (reference.familiar, reference.familiar_name)
        return any(matcher.fullmatch(text) for matcher in matchers for text in texts)

    found = []
    for image in images:
        names = [name for name in image.names if matches(name)]
        repo_digests = [name for name in image.repo_digests if matches(name)]
        if names or repo_digests:
            found.append(msgspec.structs.replace(image, names=names, repo_digests=repo_digests))
    return found
