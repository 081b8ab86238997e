"""Values of templates that JSON has no word for: rows of listings, and what Go calls nil."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# Fields of docker's types that are maps, and those that are pointers: how Go prints them when there is nothing.
# All others that may be missing are lists or texts.
_MAPS = frozenset((
    "Annotations", "Attributes", "DriverOpts", "ExposedPorts", "Labels", "Options", "PortBindings", "Ports",
    "StorageOpt", "Sysctls", "Tmpfs", "Volumes",
))  # fmt: skip
_POINTERS = frozenset((
    "Health", "Healthcheck", "Init", "IPAMConfig", "MemorySwappiness", "OomKillDisable", "PidsLimit",
    "SizeRootFs", "SizeRw", "StopTimeout", "UsageData",
))  # fmt: skip
# Fields that the engine leaves out when they are empty.
_OPTIONAL = _MAPS | _POINTERS | frozenset((
    "Aliases", "Binds", "CapAdd", "CapDrop", "Devices", "Entrypoint", "MacAddress", "MaskedPaths", "Mounts",
    "OnBuild", "ReadonlyPaths", "Runtime", "Shell", "StopSignal", "Ulimits", "VolumesFrom",
))  # fmt: skip


class Absent:
    """Nothing, in a field that exists: false, empty, printed as Go prints the field's zero value."""

    def __init__(self, name: str) -> None:
        self.text = "map[]" if name in _MAPS else "<nil>" if name in _POINTERS else "[]"

    @staticmethod
    def expected(name: str) -> bool:
        """Return whether a field of docker's types has this name though the engine did not send it."""
        return name in _OPTIONAL

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0


class Map(dict[str, Any]):
    """One of docker's maps: sorted by key, and a key that it lacks is nothing instead of an error."""


def typed(name: str, value: Any) -> Any:
    """Return the value of the field `name` with docker's maps in it marked and sorted."""
    if isinstance(value, Mapping):
        if name in _MAPS:
            return Map(sorted(value.items()))
        return {key: typed(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed("", inner) for inner in value]
    return value


class Fields:
    """A row: its names and how each is made of the engine's answer, made when it is asked for."""

    def __init__(self, type_name: str, table: Mapping[str, Callable[..., Any]], source: Any) -> None:
        self.type_name = type_name
        self._table = table
        self._source = source

    def has(self, name: str) -> bool:
        return name in self._table

    def get(self, name: str, *arguments: Any) -> Any:
        return self._table[name](self._source, *arguments)

    def as_dictionary(self) -> dict[str, Any]:
        """Return all fields that need no argument, sorted by name: what `{{json .}}` shows."""
        return {name: self.get(name) for name in sorted(self._table) if name != "Label"}
