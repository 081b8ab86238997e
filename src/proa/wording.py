"""Docker's own words, in one catalogue: clients and scripts match on these texts."""

from __future__ import annotations

from proa.errors import Conflict, NotFound


def no_such_image(reference: str) -> NotFound:
    return NotFound(f"No such image: {reference}")


def no_such_container(name: str) -> NotFound:
    return NotFound(f"No such container: {name}")


def no_such_exec(identifier: str) -> NotFound:
    return NotFound(f"No such exec instance: {identifier}")


def no_such_volume(name: str) -> NotFound:
    return NotFound(f"get {name}: no such volume")


def no_such_network(name: str) -> NotFound:
    return NotFound(f"network {name} not found")


def name_in_use(name: str, identifier: str) -> Conflict:
    return Conflict(
        f'Conflict. The container name "/{name}" is already in use by container "{identifier}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )


def not_running(identifier: str) -> Conflict:
    return Conflict(f"container {identifier} is not running")
