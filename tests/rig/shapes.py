"""The shape of JSON: which fields there are and of what type, version by version.

A recorded shape is text, one line for each field, with the API versions that have it so when not all have:

    == GET /images/{name}/json
    Config.Env[] string
    VirtualSize number ..1.43
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Version = tuple[int, int]
Shape = frozenset[str]

# Objects whose keys are data: their values are all of one shape.
_MAPS = (
    "Labels", "Options", "Networks", "Ports", "Volumes", "ExposedPorts", "Runtimes", "DriverOpts", "Attributes",
    "Annotations", "Sysctls", "IndexConfigs", "Containers", "LogConfig.Config", "PortBindings", "Tmpfs",
    "GraphDriver.Data", "Details", "StorageOpt",
)  # fmt: skip


def shape(value: Any, path: str = "") -> Shape:
    """Return lines like "State.Pid number"."""
    if isinstance(value, dict):
        if path.endswith(_MAPS):
            inner = frozenset[str]().union(*(shape(each, f"{path}{{}}") for each in value.values()))
            return inner | {f"{path} map"}
        return frozenset[str]().union(
            *(shape(each, f"{path}.{key}" if path else key) for key, each in value.items())
        ) or frozenset({f"{path} object"})
    if isinstance(value, list):
        return frozenset[str]().union(*(shape(each, f"{path}[]") for each in value)) | {f"{path} list"}
    return frozenset({f"{path} {_type(value)}"})


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def render(recorded: Mapping[str, Mapping[Version, Shape]], versions: list[Version]) -> str:
    """Return recorded shapes as text."""
    sections = []
    for name, shapes in recorded.items():
        lines = [f"== {name}"]
        for line in sorted(frozenset[str]().union(*shapes.values())):
            having = [version for version in versions if line in shapes[version]]
            lines.append(f"{line} {_ranges(having, versions)}".rstrip())
        sections.append("\n".join(lines) + "\n")
    return "\n".join(sections)


def _ranges(having: list[Version], versions: list[Version]) -> str:
    if having == versions:
        return ""
    ranges: list[list[Version]] = []
    for version in having:
        if ranges and versions.index(version) == versions.index(ranges[-1][-1]) + 1:
            ranges[-1][1:] = [version]
        else:
            ranges.append([version])
    return ",".join(
        f"{_text(first) if (first := each[0]) != versions[0] else ''}.."
        f"{_text(last) if (last := each[-1]) != versions[-1] else ''}"
        for each in ranges
    )


def _text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def parse(text: str, version: Version) -> dict[str, Shape]:
    """Return what a version has, by section."""
    sections: dict[str, set[str]] = {}
    current: set[str] = set()
    for line in filter(None, text.splitlines()):
        if line.startswith("== "):
            current = sections.setdefault(line[3:], set())
            continue
        *words, last = line.split(" ")
        if ".." not in last:
            current.add(line)
        elif _covers(last.split(","), version):
            current.add(" ".join(words))
    return {name: frozenset(lines) for name, lines in sections.items()}


def _covers(ranges: Iterable[str], version: Version) -> bool:
    for each in ranges:
        first, _, last = each.partition("..")
        if (not first or _version(first) <= version) and (not last or version <= _version(last)):
            return True
    return False


def _version(text: str) -> Version:
    major, _, minor = text.partition(".")
    return int(major), int(minor)
