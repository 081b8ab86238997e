"""The rows of images and their names, and which blobs they need.

An image's identifier is the digest of its configuration, which lies in the content store. Names and digests
point to images as in Docker's reference store: a name to one image, an image has any number of names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Protocol

from proa import times, wording
from proa.engine.database import Database
from proa.engine.images.image import Image, Layer
from proa.engine.images.layer_records import LayerRecords
from proa.oci import digest as digests
from proa.oci.image_config import ImageConfig, chain_ids
from proa.oci.reference import DEFAULT_TAG, Reference

_IDENTIFIER = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")
_CONFIG_CACHE_SIZE = 256  # parsed configurations, some KB each


class Blobs(Protocol):
    """The part of the content store that images need."""

    def put(self, data: bytes) -> str: ...
    def read(self, digest: str) -> bytes: ...


class ImageStore:
    """Images' rows; `layers` has those of layers. Every method is one transaction, or joins the caller's."""

    def __init__(self, database: Database, content: Blobs, clock: Callable[[], int] = times.now) -> None:
        self._database = database
        self._content = content
        self._clock = clock
        self.layers = LayerRecords(database)
        self._configs: dict[str, ImageConfig] = {}

    # Images

    def put(
        self,
        config: ImageConfig,
        *,
        manifest_digest: str = "",
        manifest_media_type: str = "",
        parent: str = "",
    ) -> str:
        """Record an image whose layers are registered, and return its identifier.

        The same image again updates what is given: the pull of an image that was built here knows its
        manifest. Raises `AlreadyExists` when a layer is missing.
        """
        image_id = self._content.put(config.to_bytes())
        chain = chain_ids(config.diff_ids)
        with self._database.transaction():
            self._database.execute(
                "INSERT INTO images (id, manifest_digest, manifest_media_type, size, pulled_at, parent) "
                "VALUES (?1, ?2, ?3, 0, ?4, ?5) ON CONFLICT (id) DO UPDATE SET "
                "manifest_digest = CASE WHEN ?2 = '' THEN manifest_digest ELSE ?2 END, "
                "manifest_media_type = CASE WHEN ?2 = '' THEN manifest_media_type ELSE ?3 END, "
                "parent = CASE WHEN ?5 = '' THEN parent ELSE ?5 END, pulled_at = ?4",
                (image_id, manifest_digest, manifest_media_type, self._clock(), parent),
            )
            for position, chain_id in enumerate(chain):
                self._database.execute(
                    "INSERT OR IGNORE INTO image_layers (image_id, position, chain_id) VALUES (?, ?, ?)",
                    (image_id, position, chain_id),
                )
            self._database.execute(
                "UPDATE images SET size = (SELECT coalesce(sum(size), 0) FROM image_layers "
                "JOIN layers USING (chain_id) WHERE image_id = ?1) WHERE id = ?1",
                (image_id,),
            )
        return image_id

    def find(self, text: str) -> str:
        """Return the identifier of what a user calls `text`: name, name@digest, identifier or unique prefix.

        Raises `NotFound` in Docker's words, `InvalidArgument` for what can be no reference.
        """
        match = _IDENTIFIER.fullmatch(text)
        if match and len(match[1]) == 64:
            found = self._search(match[1])
            if found is None:
                raise wording.no_such_image(f"sha256:{match[1]}")
            return found
        reference = Reference.parse(text)
        found = self.named(reference)
        if found is None and match:
            found = self._search(match[1])
        if found is None:
            raise wording.no_such_image(reference.familiar)
        return found

    @staticmethod
    def is_identifier(text: str) -> bool:
        """Whether `text` can be nothing but an identifier: 64 digits, or any number behind "sha256:"."""
        match = _IDENTIFIER.fullmatch(text)
        return match is not None and (len(match[1]) == 64 or text.startswith("sha256:"))

    def tags(self, repository: Reference) -> dict[str, list[Reference]]:
        """Return the images that have tags in a repository, with those tags, sorted by tag."""
        rows = self._database.rows(
            "SELECT name, image_id FROM image_names WHERE name BETWEEN ? AND ? ORDER BY name",
            (f"{repository.name}:", f"{repository.name};"),  # ";" follows ":"
        )
        found: dict[str, list[Reference]] = {}
        for name, image_id in rows:
            found.setdefault(image_id, []).append(Reference.parse(name))
        return found

    def has_repository(self, repository: Reference) -> bool:
        """Whether an image has a tag or a digest in a repository."""
        row = self._database.row("SELECT 1 FROM image_digests WHERE repository = ? LIMIT 1", (repository.name,))
        return row is not None or bool(self.tags(repository))

    def named(self, reference: Reference) -> str | None:
        """Return the identifier of the image that a reference points to, or None. A digest beats a tag."""
        if reference.digest:
            row = self._database.row(
                "SELECT image_id FROM image_digests WHERE repository = ? AND digest = ?",
                (reference.name, reference.digest),
            )
        else:
            row = self._database.row("SELECT image_id FROM image_names WHERE name = ?", (_name(reference),))
        return row[0] if row else None

    def _search(self, prefix: str) -> str | None:
        rows = self._database.rows(  # "g" sorts behind all hexadecimal digits
            "SELECT id FROM images WHERE id BETWEEN ? AND ? LIMIT 2",
            (f"sha256:{prefix}", f"sha256:{prefix}g"),
        )
        return rows[0][0] if len(rows) == 1 else None

    def get(self, image_id: str) -> Image | None:
        """Return the image with this full identifier, or None."""
        return next(iter(self._images("WHERE id = ?", (image_id,))), None)

    def sizes(self) -> dict[str, int]:
        """Return the bytes of all images, unpacked, by identifier."""
        return dict(self._database.rows("SELECT id, size FROM images"))

    def has(self, image_id: str) -> bool:
        """Whether there is an image with this full identifier."""
        return self._database.row("SELECT 1 FROM images WHERE id = ?", (image_id,)) is not None

    def all(self) -> list[Image]:
        """Return every image, in no particular order."""
        return self._images("", ())

    def _images(self, where: str, parameters: tuple[str, ...]) -> list[Image]:
        rows = self._database.rows(
            "SELECT id, manifest_digest, manifest_media_type, size, pulled_at, tagged_at, parent "
            f"FROM images {where}",
            parameters,
        )
        return [
            Image(
                id=image_id, config=config, layers=chain_ids(config.diff_ids), size=size,
                names=[reference.familiar for reference in references if reference.tag],
                repo_digests=[reference.familiar for reference in references if reference.digest],
                manifest_digest=manifest, manifest_media_type=media_type, parent=parent,
                pulled_at=pulled_at, tagged_at=tagged_at,
            )
            for image_id, manifest, media_type, size, pulled_at, tagged_at, parent in rows
            for config, references in [(self._config(image_id), self.references(image_id))]
        ]  # fmt: skip

    def _config(self, image_id: str) -> ImageConfig:
        config = self._configs.get(image_id)
        if config is None:
            if len(self._configs) >= _CONFIG_CACHE_SIZE:
                self._configs.clear()
            config = self._configs[image_id] = ImageConfig.parse(self._content.read(image_id))
        return config

    def children(self, image_id: str) -> list[str]:
        """Return the images that were built here on this one."""
        return [row[0] for row in self._database.rows("SELECT id FROM images WHERE parent = ?", (image_id,))]

    def delete(self, image_id: str, keep: Collection[str] = ()) -> list[Layer]:
        """Delete an image without names, and the rows of layers that nothing needs; return those, top first.

        `keep` has the chain IDs that containers and leases need. The files are the caller's to remove, after
        the transaction.
        """
        with self._database.transaction():
            chain = [layer.chain_id for layer in self.layers.of_image(image_id)]
            self._database.execute("DELETE FROM images WHERE id = ?", (image_id,))
            self._configs.pop(image_id, None)
            return self.layers.delete_unused(reversed(chain), keep)

    # Names

    def references(self, image_id: str) -> list[Reference]:
        """Return every tag and digest of an image, sorted by their full texts as Docker does."""
        names = self._database.rows("SELECT name FROM image_names WHERE image_id = ?", (image_id,))
        by_digest = self._database.rows(
            "SELECT repository || '@' || digest FROM image_digests WHERE image_id = ?", (image_id,)
        )
        return [Reference.parse(text) for text in sorted(text for (text,) in names + by_digest)]

    def tag(self, reference: Reference, image_id: str) -> str | None:
        """Let a name point to an image, and return the image it pointed to until now."""
        with self._database.transaction():
            previous = self.named(Reference(reference.domain, reference.path, reference.tag))
            self._database.execute(
                "INSERT INTO image_names (name, image_id) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET image_id = excluded.image_id",
                (_name(reference), image_id),
            )
            self._database.execute("UPDATE images SET tagged_at = ? WHERE id = ?", (self._clock(), image_id))
        return previous

    def add_digest(self, reference: Reference, digest: str, image_id: str) -> None:
        """Record that a registry calls the image `digest` in the repository of `reference`."""
        self._database.execute(
            "INSERT INTO image_digests (repository, digest, image_id) VALUES (?, ?, ?) "
            "ON CONFLICT (repository, digest) DO UPDATE SET image_id = excluded.image_id",
            (reference.name, digests.validate(digest), image_id),
        )

    def untag(self, reference: Reference) -> bool:
        """Remove one name (or name@digest). Returns whether it was there."""
        if reference.digest:
            return bool(
                self._database.execute(
                    "DELETE FROM image_digests WHERE repository = ? AND digest = ?",
                    (reference.name, reference.digest),
                )
            )
        return bool(self._database.execute("DELETE FROM image_names WHERE name = ?", (_name(reference),)))

    # Blobs

    def repositories_with(self, blob_digest: str, domain: str) -> list[str]:
        """Return the repositories of a registry that had a layer's blob when an image was pulled from or pushed
        there, the ones of the newest images first."""
        rows = self._database.rows(
            "SELECT repository FROM image_digests JOIN image_layers USING (image_id) JOIN layers USING (chain_id) "
            "JOIN images ON images.id = image_digests.image_id WHERE blob_digest = ?1 "
            "AND repository BETWEEN ?2 || '/' AND ?2 || '0' GROUP BY repository ORDER BY max(pulled_at) DESC",
            (blob_digest, domain),  # "0" follows "/"
        )
        return [repository for (repository,) in rows]

    def has_blob(self, digest: str) -> bool:
        """Whether any record names this blob: as configuration, manifest, index or layer."""
        row = self._database.row(
            "SELECT EXISTS (SELECT 1 FROM images WHERE id = ?1 OR manifest_digest = ?1) "
            "OR EXISTS (SELECT 1 FROM image_digests WHERE digest = ?1) "
            "OR EXISTS (SELECT 1 FROM layers WHERE blob_digest = ?1)",
            (digest,),
        )
        return bool(digest and row and row[0])

    def documents(self, image_id: str) -> list[str]:
        """Return the digests of an image's manifest and of what registries call it: manifests, indexes."""
        rows = self._database.rows(
            "SELECT manifest_digest FROM images WHERE id = ?1 UNION SELECT digest FROM image_digests "
            "WHERE image_id = ?1 ORDER BY 1",
            (image_id,),
        )
        return [digest for (digest,) in rows if digest]

    def blobs(self) -> set[str]:
        """Return the digests of all blobs that records name."""
        rows = self._database.rows(
            "SELECT id FROM images UNION SELECT manifest_digest FROM images "
            "UNION SELECT digest FROM image_digests UNION SELECT blob_digest FROM layers"
        )
        return {digest for (digest,) in rows if digest}


def _name(reference: Reference) -> str:
    """Return the key of a name's row: in full, with its tag, without digest."""
    return f"{reference.name}:{reference.tag or DEFAULT_TAG}"
