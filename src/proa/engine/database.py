"""The engine's records: one SQLite file in write-ahead mode, with migrations and transactions.

Whatever a transaction wrote is whole or absent after SIGKILL at any instruction (a power loss may undo the
last transactions, never tear one: https://www.sqlite.org/pragma.html#pragma_synchronous). The connection
belongs to the thread that opened it, the event loop's. A transaction must not span an `await`: other tasks
would write into it.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from proa.errors import Conflict, Internal, KernelError

APPLICATION_ID = 0x50524F41  # "PROA": `file` shows it, and another program's database is not taken for ours
LOCK_PATIENCE = 2.0  # seconds that an opening engine waits for one that is just closing

# One tuple of statements per version of the schema. Released entries never change: append.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
        """CREATE TABLE containers (
            id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE images (
            id TEXT PRIMARY KEY,                           -- digest of the configuration
            manifest_digest TEXT NOT NULL DEFAULT '',      -- '' for images made here
            manifest_media_type TEXT NOT NULL DEFAULT '',
            size INTEGER NOT NULL,                         -- bytes, unpacked, all layers
            pulled_at INTEGER NOT NULL,                    -- nanoseconds since the epoch
            tagged_at INTEGER NOT NULL DEFAULT 0,          -- also nanoseconds; 0 for never
            parent TEXT NOT NULL DEFAULT ''                -- the image it was built on here
        ) STRICT""",
        "CREATE INDEX images_by_parent ON images (parent)",
        """CREATE TABLE image_names (
            name TEXT PRIMARY KEY,                         -- docker.io/library/busybox:latest
            image_id TEXT NOT NULL REFERENCES images (id)
        ) STRICT""",
        "CREATE INDEX image_names_by_image ON image_names (image_id)",
        """CREATE TABLE image_digests (
            repository TEXT NOT NULL,                      -- docker.io/library/busybox
            digest TEXT NOT NULL,                          -- of what a registry calls it: manifest or index
            image_id TEXT NOT NULL REFERENCES images (id),
            PRIMARY KEY (repository, digest)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX image_digests_by_image ON image_digests (image_id)",
        """CREATE TABLE layers (
            chain_id TEXT PRIMARY KEY,
            diff_id TEXT NOT NULL,
            parent TEXT NOT NULL DEFAULT '',               -- chain ID below, '' for a base
            size INTEGER NOT NULL,                         -- bytes, unpacked
            blob_digest TEXT NOT NULL DEFAULT '',          -- the compressed form a registry has
            blob_size INTEGER NOT NULL DEFAULT 0,
            media_type TEXT NOT NULL DEFAULT ''
        ) STRICT""",
        """CREATE TABLE image_layers (
            image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
            position INTEGER NOT NULL,                     -- 0 is the base
            chain_id TEXT NOT NULL REFERENCES layers (chain_id),
            PRIMARY KEY (image_id, position)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX image_layers_by_layer ON image_layers (chain_id)",
        "CREATE TABLE volumes (name TEXT PRIMARY KEY, record BLOB NOT NULL) STRICT",
        """CREATE TABLE networks (
            id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record BLOB NOT NULL
        ) STRICT""",
    ),
    # A container had one endpoint, and only since its start; it has one for each network now.
    (
        # json_extract, not "->>": that is SQLite 3.38's.
        """UPDATE containers SET record = CAST((
            SELECT json_remove(json_set(text, '$.endpoints', json_object(
                mode,
                json_patch(coalesce(endpoint, '{}'), json_object(
                    'network', mode,
                    'device', iif(coalesce(json_extract(endpoint, '$.address'), '') <> '', 'eth0', ''),
                    'wishes', json_object('mac_address', coalesce(json_extract(text, '$.options.mac_address'), ''))
                ))
            )), '$.endpoint')
            FROM (SELECT
                CAST(record AS TEXT) AS text,
                coalesce(json_extract(CAST(record AS TEXT), '$.options.network_mode'), 'bridge') AS mode,
                json_extract(CAST(record AS TEXT), '$.endpoint') AS endpoint
            )
        ) AS BLOB)
        WHERE coalesce(json_extract(CAST(record AS TEXT), '$.options.network_mode'), '') NOT LIKE 'container:%'""",
    ),
)


class AlreadyExists(Conflict):
    """A constraint of the schema refused the statement: the key is taken, or a row it needs is missing."""


class Database:
    """The engine's database; `path` is made when missing. Only one process can have it open.

    Raises `Conflict` when another engine has it, `Internal` when the file is no database of this or an
    earlier version of Proa, or the disk fails.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._depth = 0
        with self._explained():
            # The file is made here for its mode: records hold environments, so passwords.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._connection = sqlite3.connect(
                path, timeout=LOCK_PATIENCE, isolation_level=None, cached_statements=256
            )
            try:
                self._configure()
                self._migrate()
            except BaseException:
                self._connection.close()
                raise

    def _configure(self) -> None:
        """Set what is per connection. The exclusive lock also saves the shared-memory index (wal.html)."""
        for pragma in (
            "locking_mode = EXCLUSIVE",
            "journal_mode = WAL",
            "synchronous = NORMAL",
            "foreign_keys = ON",
            "temp_store = MEMORY",
        ):
            self._connection.execute(f"PRAGMA {pragma}")

    def _migrate(self) -> None:
        with self.transaction():
            (application,) = self.rows("PRAGMA application_id")[0]
            (version,) = self.rows("PRAGMA user_version")[0]
            if application not in (0, APPLICATION_ID) or (version and not application):
                raise Internal(f"{self.path} is the database of another program")
            if version > len(MIGRATIONS):
                raise Internal(
                    f"{self.path} was written by a newer Proa "
                    f"(schema {version}, this one knows {len(MIGRATIONS)})",
                    hint="upgrade Proa, or give another --data-root",
                )
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    self.execute(statement)
            self.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def sync(self) -> None:
        """Make what was committed survive a power loss, before something that relies on it. For any thread.

        The log's descriptor may be closed here: SQLite's locks are on the other file (howtocorrupt.html, 2.2).
        """
        try:
            descriptor = os.open(f"{self.path}-wal", os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise KernelError(f"sync {self.path}", error.errno or errno.EIO) from error

    def close(self) -> None:
        """Write the log back into the file and let go of it."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block writes, or nothing of it when it raises. An inner one joins the outer."""
        if self._depth:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        self.execute("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # a full disk may already have rolled it back
                self._connection.execute("ROLLBACK")
            raise
        finally:
            self._depth = 0

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement and return the number of rows it changed. Raises `AlreadyExists`, `Internal`."""
        with self._explained():
            return self._connection.execute(statement, parameters).rowcount

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self._explained():
            return self._connection.execute(statement, parameters).fetchall()

    def row(self, statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """Return the first row of a query, or None."""
        with self._explained():
            found: tuple[Any, ...] | None = self._connection.execute(statement, parameters).fetchone()
            return found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn SQLite's errors into Proa's; mistakes of the program stay `ProgrammingError`."""
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise AlreadyExists(f"{self.path}: {error}") from error
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise Conflict(f"{self.path} is in use by another engine") from error
            raise Internal(f"{self.path}: {error}") from error
        except OSError as error:
            raise Internal(f"{self.path}: {error.strerror}") from error
