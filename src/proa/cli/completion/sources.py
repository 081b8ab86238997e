"""Where candidates come from: the engine's containers, images, volumes and networks, contexts, fixed words."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from proa.cli.command import Invocation


class Candidates:
    """(text, description) each; `files`: the shell may offer files; `no_space`: the word goes on after one."""

    def __init__(
        self, items: Iterable[tuple[str, str]] = (), *, files: bool = False, no_space: bool = False
    ) -> None:
        self.items = list(items)
        self.files = files
        self.no_space = no_space


if TYPE_CHECKING:
    Source = Candidates | Callable[[Invocation, str], Candidates]
else:
    Source = object  # a type, for those who check types

FILES = Candidates(files=True)
NOTHING = Candidates()


def words(*texts: str, no_space: bool = False) -> Candidates:
    return Candidates(((text, "") for text in texts), no_space=no_space)


def _get(invocation: Invocation, path: str, **parameters: str) -> Any:
    """Ask the engine, but do not start it for a key that was pressed."""
    invocation.client.address.default = False
    return invocation.client.get(path, **parameters)


def containers(*states: str, but: tuple[str, ...] = ()) -> Source:
    """Return a source of names of containers in some state, any unless told."""

    def find(invocation: Invocation, last: str) -> Candidates:
        found = _get(invocation, "/containers/json", all="1")
        wanted = [one for one in found if (not states or one["State"] in states) and one["State"] not in but]
        items = [(_name(one), f"{one['Image']}, {one['Status']}") for one in wanted if one.get("Names")]
        if last and not any(name.startswith(last) for name, _ in items):
            items = [(one["Id"][:12], _name(one)) for one in wanted]
        return Candidates(items)

    return find


def _name(container: Any) -> str:
    """The shortest name: the others lead through links."""
    return min((str(name).removeprefix("/") for name in container["Names"]), key=lambda name: name.count("/"))


def snapshots(invocation: Invocation, _last: str) -> Candidates:
    """The snapshots of the container that is named before."""
    if not invocation.arguments:
        return NOTHING
    found = _get(invocation, f"/proa/containers/{invocation.arguments[0]}/snapshots")
    return Candidates((one["Name"], one["Created"]) for one in found)


def images(invocation: Invocation, last: str) -> Candidates:
    found = _get(invocation, "/images/json")
    names = [tag for one in found for tag in one.get("RepoTags") or [] if tag != "<none>:<none>"]
    if last and not any(name.startswith(last) for name in names):
        return Candidates((one["Id"].rpartition(":")[2][:12], "") for one in found)
    return Candidates((name, "") for name in sorted(names))


def volumes(invocation: Invocation, _last: str) -> Candidates:
    return Candidates((one["Name"], one["Driver"]) for one in _get(invocation, "/volumes")["Volumes"] or [])


def networks(invocation: Invocation, _last: str) -> Candidates:
    return Candidates((one["Name"], one["Driver"]) for one in _get(invocation, "/networks"))


def objects(invocation: Invocation, last: str) -> Candidates:
    """What `inspect` finds: one of the kinds of `--type`, else all."""
    kinds: dict[str, Any] = {
        "container": containers(), "image": images, "network": networks, "volume": volumes,
    }  # fmt: skip
    kind = invocation["type"]
    chosen = [kinds[kind]] if kind in kinds else list(kinds.values())
    return Candidates(item for source in chosen for item in source(invocation, last).items)


def contexts(_invocation: Invocation, _last: str) -> Candidates:
    from proa.cli.contexts import store

    return Candidates((name, "") for name in sorted({"default", *store().names()}))


def registries(invocation: Invocation, _last: str) -> Candidates:
    """Where somebody has logged in."""
    return Candidates((server, "") for server in sorted(invocation.config.get("auths") or {}))


def runtimes(invocation: Invocation, _last: str) -> Candidates:
    return Candidates((name, "") for name in _get(invocation, "/info").get("Runtimes") or ())


def variables(_invocation: Invocation, last: str) -> Candidates:
    """Variables of this environment; behind "=" there is nothing to know."""
    import os

    return NOTHING if "=" in last else Candidates(((name, "") for name in sorted(os.environ)), no_space=False)


def mode_or_container(*modes: str) -> Source:
    """Return a source for what is a mode or "container:NAME"."""

    def find(invocation: Invocation, last: str) -> Candidates:
        if last.startswith("container:"):
            found: Any = containers("running", "paused")
            inner = found(invocation, last.removeprefix("container:"))
            return Candidates((f"container:{text}", description) for text, description in inner.items)
        return words(*modes, "container:", no_space="container:".startswith(last) and bool(last))

    return find


def network_modes(invocation: Invocation, last: str) -> Candidates:
    if last.startswith("container:"):
        found: Any = mode_or_container()
        return Candidates(found(invocation, last).items)
    return networks(invocation, last)


def mount_sources(invocation: Invocation, last: str) -> Candidates:
    """The first part of `--volume`: a directory or a volume."""
    if last.startswith(("/", ".", "~")) or ":" in last:
        return FILES
    return Candidates(((f"{name}:", driver) for name, driver in volumes(invocation, last).items), no_space=True)


def places(invocation: Invocation, last: str) -> Candidates:
    """A path of `cp`: a file here, or in a container behind its name."""
    if "/" in last or ":" in last:
        return FILES
    found: Any = containers()
    items = [(f"{name}:", description) for name, description in found(invocation, last).items]
    return Candidates(items, files=True, no_space=True)
