"""`rename`: another name for a container, in the records and where names are resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proa.engine.names import validate_container_name
from proa.engine.records import Container
from proa.errors import Conflict, InvalidArgument

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers


def rename(containers: Containers, record: Container, name: str) -> None:
    """Rename a container; raises `InvalidArgument` or `Conflict` in Docker's words."""
    old = record.name
    if not name:
        raise InvalidArgument("Neither old nor new names may be empty")
    if name.removeprefix("/") == old:
        raise InvalidArgument("Renaming a container with the same name as its current name")
    try:
        containers.store.rename(record, validate_container_name(f"/{name.removeprefix('/')}"))
    except (InvalidArgument, Conflict) as error:
        raise type(error)(f"Error when allocating new name: {error.message}") from error
    containers.resolution.changed(record)
    containers.emit("rename", record, oldName=f"/{old}")
