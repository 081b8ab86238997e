"""The records of all containers: in memory for reading, in the database for good."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from proa import wording
from proa.engine.database import Database
from proa.engine.records import Container
from proa.errors import Internal, InvalidArgument, NotFound

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Container).decode


_log = logging.getLogger(__name__)
_RETRY = 5.0  # seconds until a write that a full disk refused is tried again


class ContainerStore:
    """Every change is written through; a reader sees the record that the database has.

    What has happened anyway (an exit, a removal) counts even where the disk is full: the write is owed, and
    tried again until it succeeds. Only `insert`, `change` and `rename`, which somebody asks for, raise.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        rows = database.rows("SELECT record FROM containers")
        self._records = {record.id: record for (data,) in rows for record in [_decode(data)]}
        self._names = {record.name: record.id for record in self._records.values()}
        self._owed: set[str] = set()
        self._retry: asyncio.TimerHandle | None = None

    def __iter__(self) -> Iterator[Container]:
        """Newest first, as `ps` shows them."""
        return iter(sorted(self._records.values(), key=lambda record: record.created, reverse=True))

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._records

    def insert(self, record: Container) -> None:
        """Add a container; raises `Conflict` in Docker's words if the name is taken."""
        if holder := self._names.get(record.name):
            raise wording.name_in_use(record.name, holder)
        self._database.execute(
            "INSERT INTO containers (id, name, record) VALUES (?, ?, ?)",
            (record.id, record.name, _encode(record)),
        )
        self._records[record.id] = record
        self._names[record.name] = record.id

    def change(self, record: Container, changes: dict[str, Any], new: Sequence[Container] = ()) -> None:
        """Give fields of a record other values and add containers: all of it or nothing.

        Raises `Conflict` for a taken name, `Internal` for a disk that takes nothing.
        """
        for each in new:
            if holder := self._names.get(each.name):
                raise wording.name_in_use(each.name, holder)
        changed = msgspec.structs.replace(record, **changes)
        with self._database.transaction():
            self._database.execute("UPDATE containers SET record = ? WHERE id = ?", (_encode(changed), record.id))
            for each in new:
                self._database.execute(
                    "INSERT INTO containers (id, name, record) VALUES (?, ?, ?)",
                    (each.id, each.name, _encode(each)),
                )
        for field, value in changes.items():
            setattr(record, field, value)
        for each in new:
            self._records[each.id] = each
            self._names[each.name] = each.id

    def save(self, record: Container) -> bool:
        """Write a changed record; one that was deleted meanwhile stays deleted. False: it is owed."""
        return self._write(record.id)

    def _write(self, identifier: str) -> bool:
        record = self._records.get(identifier)
        try:
            if record:
                self._database.execute(
                    "UPDATE containers SET record = ? WHERE id = ?", (_encode(record), identifier)
                )
            else:
                self._database.execute("DELETE FROM containers WHERE id = ?", (identifier,))
        except Internal as error:
            if identifier not in self._owed:
                _log.error("container %s: its record can not be written now: %s", identifier, error)
            self._owe(identifier)
            return False
        self._owed.discard(identifier)
        return True

    def _owe(self, identifier: str) -> None:
        self._owed.add(identifier)
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(_RETRY, self.settle)

    def settle(self) -> None:
        """Try what is owed again."""
        if self._retry:
            self._retry.cancel()
            self._retry = None
        for identifier in list(self._owed):
            self._write(identifier)

    def rename(self, record: Container, name: str) -> None:
        """Give a container another name; raises `Conflict` if it is taken."""
        if holder := self._names.get(name):
            raise wording.name_in_use(name, holder)
        old, record.name = record.name, name
        try:
            self._database.execute(
                "UPDATE containers SET name = ?, record = ? WHERE id = ?", (name, _encode(record), record.id)
            )
        except BaseException:
            record.name = old
            raise
        del self._names[old]
        self._names[name] = record.id

    def delete(self, record: Container) -> None:
        """Forget a container; its name is free at once."""
        del self._records[record.id]
        del self._names[record.name]
        self._write(record.id)

    def name_taken(self, name: str) -> bool:
        return name in self._names

    def find(self, name: str) -> Container | None:
        """As `get`, with None for a container that does not exist."""
        try:
            return self.get(name)
        except NotFound:
            return None

    def get(self, name: str) -> Container:
        """Find by full id, name (with or without slash), or unique prefix of the id."""
        if record := self._records.get(name):
            return record
        if identifier := self._names.get(name.removeprefix("/")):
            return self._records[identifier]
        matches = [record for key, record in self._records.items() if name and key.startswith(name)]
        if len(matches) > 1:
            raise InvalidArgument(f"Multiple IDs found with provided prefix: {name}")
        if not matches:
            raise wording.no_such_container(name)
        return matches[0]
