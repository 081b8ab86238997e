"""Values of templates that JSON has no word for: rows of listings, docker's structures, and what Go calls nil."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

# Fields of docker's types that are maps, and those that are pointers: how Go prints them when there is nothing.
# All others that may be missing are lists or texts.
_MAPS = frozenset((
    "Annotations", "Attributes", "DriverOpts", "ExposedPorts", "Labels", "Options", "PortBindings", "Ports",
    "StorageOpt", "Sysctls", "Tmpfs", "Volumes",
))  # fmt: skip
# Those of the maps whose values are texts.
_TEXTS = _MAPS - {"ExposedPorts", "PortBindings", "Ports", "Volumes"}
_POINTERS = frozenset((
    "Health", "Healthcheck", "Init", "IPAMConfig", "MemorySwappiness", "OomKillDisable", "PidsLimit",
    "SizeRootFs", "SizeRw", "StopTimeout", "UsageData",
))  # fmt: skip
# Fields that the engine leaves out when they are empty.
_OPTIONAL = _MAPS | _POINTERS | frozenset((
    "Aliases", "Binds", "CapAdd", "CapDrop", "Devices", "Entrypoint", "MacAddress", "MaskedPaths", "Mounts",
    "OnBuild", "ReadonlyPaths", "Runtime", "Shell", "StopSignal", "Ulimits", "VolumesFrom",
))  # fmt: skip

_BINDING = (("HostIp", ""), ("HostPort", ""))
# Docker's structures by the field that holds one, or a list or map of them: their fields in the order of docker's
# Go types, each with what it has when the engine leaves it out. Go prints a structure as {value value …}.
STRUCTURES: dict[str, tuple[tuple[str, Any], ...]] = {
    "Actor": (("ID", ""), ("Attributes", {})),
    "GraphDriver": (("Data", {}), ("Name", "")),
    "IPAM": (("Driver", ""), ("Options", {}), ("Config", [])),
    "LogConfig": (("Type", ""), ("Config", {})),
    "Mounts": (
        ("Type", ""), ("Name", ""), ("Source", ""), ("Destination", ""), ("Driver", ""), ("Mode", ""),
        ("RW", False), ("Propagation", ""),
    ),
    "PortBindings": _BINDING,
    "Ports": _BINDING,
    "RestartPolicy": (("Name", ""), ("MaximumRetryCount", 0)),
    "RootFS": (("Type", ""), ("Layers", [])),
    "State": (
        ("Status", ""), ("Running", False), ("Paused", False), ("Restarting", False), ("OOMKilled", False),
        ("Dead", False), ("Pid", 0), ("ExitCode", 0), ("Error", ""), ("StartedAt", ""), ("FinishedAt", ""),
        ("Health", None),
    ),
}  # fmt: skip


class Absent:
    """Nothing, in a field that exists: false, empty, printed as Go prints the field's zero value."""

    def __init__(self, name: str) -> None:
        self.text = "map[]" if name in _MAPS else "<nil>" if name in _POINTERS else "[]"
        self.zero = "" if name in _TEXTS else None  # of a map's values

    @staticmethod
    def expected(name: str) -> bool:
        """Return whether a field of docker's types has this name though the engine did not send it."""
        return name in _OPTIONAL

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0


class Map(dict):  # type: ignore[type-arg]  # subscripting it costs an import
    """One of docker's maps: sorted by key; a field that it lacks is nothing instead of an error.

    `index` of a key that it lacks is `zero`, the zero value of the map's values.
    """

    def __init__(self, content: Iterable[tuple[str, Any]] = (), zero: str | None = None) -> None:
        super().__init__(content)
        self.zero = zero


class Structure(dict):  # type: ignore[type-arg]
    """One of docker's structures; JSON shows what the engine sent."""

    def __init__(
        self, content: Mapping[str, Any], fields: tuple[tuple[str, Any], ...], type_name: str = ""
    ) -> None:
        """With a `type_name` there is nothing but the fields: asking for another is an error that tells it."""
        super().__init__(content)
        self.type_name = type_name
        self._fields = dict(fields)

    def zero(self, name: str) -> Any:
        """Return what a field has that the engine left out, None when there is no such field."""
        return self._fields.get(name)

    def values_in_order(self) -> list[Any]:
        lower = {str(name).lower(): value for name, value in self.items()}
        found = ((lower.get(name.lower()), zero) for name, zero in self._fields.items())
        return [zero if value is None else value for value, zero in found]


def typed(name: str, value: Any, texts: bool = False) -> Any:
    """Return the value of the field `name` with docker's maps and structures in it marked.

    `texts` tells of a map of texts whose name alone does not: the `Config` of `LogConfig`.
    """
    if isinstance(value, (Structure, Map)):
        return value
    if isinstance(value, dict):
        if texts or name in _MAPS:
            within = name if name in STRUCTURES else ""
            sorted_items = ((key, typed(within, value[key])) for key in sorted(value))
            found = Map(sorted_items, "" if texts or name in _TEXTS else None)
            if within:  # lists, which may be nil
                found.update((key, Absent("")) for key in found if found[key] is None)
            return found
        fields = STRUCTURES.get(name, ())
        zeros = dict(fields)
        content = {key: typed(key, inner, texts=zeros.get(key) == {}) for key, inner in value.items()}
        return Structure(content, fields) if fields else content
    if isinstance(value, list):
        return [_element(name, inner) for inner in value]
    return value


def _element(name: str, value: Any) -> Any:
    if isinstance(value, dict) and name in STRUCTURES:
        return Structure({key: typed(key, inner) for key, inner in value.items()}, STRUCTURES[name])
    return typed("", value)


class Time(str):
    """A moment as JSON has it (RFC 3339, UTC), which Go prints otherwise."""

    __slots__ = ()

    def __str__(self) -> str:
        day, _, clock = self.removesuffix("Z").partition("T")
        seconds, point, fraction = clock.partition(".")
        fraction = fraction.rstrip("0")
        return f"{day} {seconds}{point if fraction else ''}{fraction} +0000 UTC"


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


def truth(value: Any) -> bool:
    """Return whether {{if}} takes a value for true: not false, zero, nil or empty."""
    return True if isinstance(value, (Fields, Structure)) else bool(value)


def type_name(value: Any) -> str:
    """Return what Go's messages call the type of a value."""
    if isinstance(value, Fields):
        return value.type_name
    if value is None or isinstance(value, Absent):
        return "nil"
    for kind, name in _TYPES:
        if isinstance(value, kind):
            return name
    return type(value).__name__


_TYPES = (
    (bool, "bool"), (str, "string"), (int, "int"), (float, "float64"), (dict, "map[string]interface {}"),
    ((list, tuple), "[]interface {}"),
)  # fmt: skip


def show(value: Any) -> str:
    """Return a value as Go's fmt prints it: map[a:b], [x y], {x y}, true, <no value>."""
    if isinstance(value, str):
        return str(value)  # of a `Time`, what Go prints
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Structure):
        return f"{{{' '.join(_inner(item) for item in value.values_in_order())}}}"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{show(key)}:{_inner(value[key])}' for key in sorted(value))}]"
    if isinstance(value, (list, tuple)):
        return f"[{' '.join(_inner(item) for item in value)}]"
    if isinstance(value, Absent):
        return value.text
    if isinstance(value, Fields):
        return show(value.as_dictionary())
    return str(value)


def _inner(value: Any) -> str:
    return "<nil>" if value is None else show(value)


def _float(value: float) -> str:
    """Go's %v: the shortest form, with an exponent from 1e21 on."""
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    text = repr(value)
    return text[:-1] + "0" + text[-1] if text[-3:-1] in ("e-", "e+") else text
