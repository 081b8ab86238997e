"""The rows of unpacked layers, and which of them no image needs any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from proa.engine.database import Database
from proa.engine.images.image import Layer

_COLUMNS = "chain_id, diff_id, parent, size, blob_digest, blob_size, media_type"


class LayerRecords:
    """Layers' rows. Every method is one transaction, or joins the caller's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, layer: Layer) -> None:
        """Record an unpacked layer. An existing one learns where its blob is when it did not know."""
        self._database.execute(
            f"INSERT INTO layers ({_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
            "ON CONFLICT (chain_id) DO UPDATE SET blob_digest = ?5, blob_size = ?6, media_type = ?7 "
            "WHERE blob_digest = ''",
            (
                layer.chain_id, layer.diff_id, layer.parent, layer.size,
                layer.blob_digest, layer.blob_size, layer.media_type,
            ),
        )  # fmt: skip

    def get(self, chain_id: str) -> Layer | None:
        return next(iter(self._select("layers WHERE chain_id = ?", (chain_id,))), None)

    def of_image(self, image_id: str) -> list[Layer]:
        """Return an image's layers, base first."""
        source = "image_layers JOIN layers USING (chain_id) WHERE image_id = ? ORDER BY position"
        return self._select(source, (image_id,))

    def all(self) -> list[Layer]:
        """Return all layers, in no particular order."""
        return self._select("layers", ())

    def sizes(self) -> dict[str, int]:
        """Return the bytes of all layers, unpacked, by chain ID."""
        return dict(self._database.rows("SELECT chain_id, size FROM layers"))

    def _select(self, source: str, parameters: tuple[str, ...]) -> list[Layer]:
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM {source}", parameters)
        return [
            Layer(
                chain_id=chain_id, diff_id=diff_id, parent=parent, size=size,
                blob_digest=blob_digest, blob_size=blob_size, media_type=media_type,
            )
            for chain_id, diff_id, parent, size, blob_digest, blob_size, media_type in rows
        ]  # fmt: skip

    def delete_unused(self, candidates: Iterable[str], keep: Collection[str] = ()) -> list[Layer]:
        """Delete the rows of those candidates that no image has and `keep` does not name; return them."""
        deleted = []
        with self._database.transaction():
            for chain_id in candidates:
                layer = None if chain_id in keep else self.get(chain_id)
                if layer is not None and not self._in_image(chain_id):
                    self._database.execute("DELETE FROM layers WHERE chain_id = ?", (chain_id,))
                    deleted.append(layer)
        return deleted

    def _in_image(self, chain_id: str) -> bool:
        row = self._database.row("SELECT 1 FROM image_layers WHERE chain_id = ? LIMIT 1", (chain_id,))
        return row is not None
