"""How many files this process may open (getrlimit(2)): more for itself, and as before for what it executes."""

from __future__ import annotations

import resource

_FILES = resource.RLIMIT_NOFILE
_changes: list[tuple[tuple[int, int], tuple[int, int]]] = []  # before and after


def allow_files(wanted: int) -> None:
    """Raise the soft limit to the hard one if it is below `wanted`."""
    soft, hard = resource.getrlimit(_FILES)
    if soft < wanted and soft != hard:
        resource.setrlimit(_FILES, (hard, hard))
        _changes.append(((soft, hard), (hard, hard)))


def restore_files() -> None:
    """Put back in a child what `allow_files` changed, unless it was given a limit of its own since."""
    if _changes and resource.getrlimit(_FILES) == _changes[-1][1]:
        resource.setrlimit(_FILES, _changes[0][0])
