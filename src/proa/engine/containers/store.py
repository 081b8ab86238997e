"""The records of all containers: in memory for reading, in the database for good."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from proa import wording
from proa.engine.database import Database
from proa.engine.records import Container
from proa.errors import InvalidArgument, NotFound

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Container).decode


class ContainerStore:
    """Every change is written through; a reader sees the record that the database has."""

    def __init__(self, database: Database) -> None:
        self._database = database
        rows = database.rows("SELECT record FROM containers")
        self._records = {record.id: record for (data,) in rows for record in [_decode(data)]}
        self._names = {record.name: record.id for record in self._records.values()}

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

    def save(self, record: Container) -> None:
        """Write a changed record; one that was deleted meanwhile stays deleted."""
        if record.id in self._records:
            self._database.execute(
                "UPDATE containers SET record = ? WHERE id = ?", (_encode(record), record.id)
            )

    def rename(self, record: Container, name: str) -> None:
        """Give a container another name; raises `Conflict` if it is taken."""
        if holder := self._names.get(name):
            raise wording.name_in_use(name, holder)
        del self._names[record.name]
        record.name = name
        self._names[name] = record.id
        self._database.execute(
            "UPDATE containers SET name = ?, record = ? WHERE id = ?", (name, _encode(record), record.id)
        )

    def delete(self, record: Container) -> None:
        """Forget a container; its name is free at once."""
        self._database.execute("DELETE FROM containers WHERE id = ?", (record.id,))
        del self._records[record.id]
        del self._names[record.name]

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
