"""What `cp SOURCE DESTINATION` means: docker's rules about names, slashes and what is there already."""

from __future__ import annotations

import os

from proa.errors import InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Place:
    """One side of a copy. `exists` and `is_directory` tell what is there."""

    def __init__(self, path: str, *, exists: bool, is_directory: bool) -> None:
        self.path = path
        self.exists = exists
        self.is_directory = is_directory


def split(argument: str) -> tuple[str, str]:
    """Return container and path of "CONTAINER:PATH"; the container is "" for a path of this machine."""
    if os.path.isabs(argument):
        return "", argument
    container, colon, path = argument.partition(":")
    if not colon or container.startswith("."):
        return "", argument
    return container, path


def arrange(source: Place, destination: Place) -> tuple[str, str | None]:
    """Return the directory to unpack into, and the name that the copy has there (None: its own).

    Raises for copies that make no sense.
    """
    if destination.exists and destination.is_directory:
        return destination.path, None
    if source.is_directory and destination.exists:
        raise InvalidArgument("cannot copy directory")
    if not source.is_directory and not destination.exists and destination.path.endswith(("/", "/.")):
        raise NotFound("no such directory")
    directory, name = os.path.split(destination.path.rstrip("/"))
    return directory or ".", name


def base(path: str) -> str:
    """Return the name at the top of an archive of `path`."""
    if path == "." or path.endswith("/."):
        return "."
    return os.path.basename(os.path.normpath(path))


def renamer(old: str, new: str | None) -> Callable[[str], str]:
    """Return what turns names of an archive of `old` into those of one of `new`."""
    if new is None:
        return lambda name: name

    def rename(name: str) -> str:
        if name == old:
            return new
        return new + name[len(old) :] if name.startswith(f"{old}/") else name

    return rename


def local(path: str, *, follow: bool) -> Place:
    """Look at a path of this machine; with `follow`, or a slash behind, at what a link leads to."""
    found = os.path.exists(path) if follow or path.endswith(("/", "/.")) else os.path.lexists(path)
    is_directory = os.path.isdir(path) and (follow or path.endswith(("/", "/.")) or not os.path.islink(path))
    return Place(path, exists=found, is_directory=is_directory)
