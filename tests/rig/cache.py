"""Files that are dear to make and never change: made once, kept for later runs."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def directory() -> Path:
    """Where the cache is. PROA_TEST_CACHE moves it."""
    path = Path(os.environ.get("PROA_TEST_CACHE") or Path.home() / ".cache" / "proa-tests")
    path.mkdir(parents=True, exist_ok=True)
    return path


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """The file `name`; `make(path)` writes it when it is not there. Put what it depends on into the name.

    Several test runs may ask at once: one makes it, the others wait.
    """
    target = directory() / name
    if target.exists():
        return target
    with (directory() / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=directory(), prefix=".making-") as scratch:
                made = Path(scratch) / name
                make(made)
                made.rename(target)
    return target
