"""`prune` of all kinds: the question, the conditions, the request and what is said about it.

A kind of object is a row of `KINDS`; `prune` is a whole command for one, `remove` the part that `system prune`
does for each.
"""

from __future__ import annotations

from proa.cli.options.filters import parameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from proa.cli.command import Invocation

    Conditions = list[tuple[str, str]]

FILTER_FLAG = ("filter", "", "filter", "Remove only what fits (name=value)", "filters.condition")
FORCE_FLAG = ("force", "f", "", "Do not ask")

# Kind -> the field of the engine's answer with what it removed, and the title of the list of it.
KINDS = {
    "containers": ("ContainersDeleted", "Deleted Containers:"),
    "networks": ("NetworksDeleted", "Deleted Networks:"),
    "volumes": ("VolumesDeleted", "Deleted Volumes:"),
    "images": ("ImagesDeleted", "Deleted Images:"),
    "build": ("CachesDeleted", "Deleted build cache objects:"),
}


def conditions(invocation: Invocation) -> Conditions:
    """Return those of `--filter`, and those of docker's configuration that they do not contradict."""
    given: Conditions = list(invocation["filter"])
    for text in invocation.config.get("pruneFilters") or ():
        name, separator, value = str(text).partition("=")
        opposite = name[:-1] if name.endswith("!") else f"{name}!"
        if separator and (name not in ("label", "label!") or (opposite, value) not in given):
            given.append((name, value))
    return given


def prune(invocation: Invocation, kind: str, warning: str, conditions: Conditions, **parameters: str) -> None:
    """Do a `prune` command: ask with `warning` unless `--force`, remove, and tell what and how much."""
    if not invocation["force"]:
        from proa.cli.confirm import CONTINUE, confirm

        between = " " if kind == "build" else "\n"
        if not confirm(invocation, f"WARNING! This will remove {warning}.{between}{CONTINUE}"):
            return
    lines, space = remove(invocation, kind, conditions, **parameters)
    invocation.print(*lines)
    if kind != "networks":  # which take no space
        total(invocation, space)


def remove(invocation: Invocation, kind: str, conditions: Conditions, **parameters: str) -> tuple[list[str], int]:
    """Have the engine remove the unused objects of a kind; returns the lines about them and the bytes regained."""
    answer = invocation.client.post(f"/{kind}/prune", None, **parameter(conditions), **parameters)
    field, title = KINDS[kind]
    removed = list(_names(answer.get(field) or ()))
    return [title, *removed, ""] if removed else [], int(answer.get("SpaceReclaimed", 0))


def _names(removed: Iterable[Any]) -> Iterable[str]:
    """An image has a line for each of its names and one for itself, everything else its name."""
    for one in removed:
        if not isinstance(one, dict):
            yield one
        elif one.get("Untagged"):
            yield f"untagged: {one['Untagged']}"
        else:
            yield f"deleted: {one['Deleted']}"


def total(invocation: Invocation, space: int) -> None:
    from proa.cli.formatting.units import bytes_size

    invocation.print(f"Total reclaimed space: {bytes_size(space)}")
