"""An engine that dies at a chosen step: SIGKILL to itself, before or after the n-th change of the disk.

    engine = MortalEngine(registry.url).start()
    engine.doom(7)              # from here on, the seventh step is the last
    … a request …
    engine.survived()           # or started again

A step is a rename, a sync, a removal or making of a file or directory, or a statement that SQLite commits.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rig.engine import Engine

_PLAN = "PROA_TEST_DOOM"  # of the environment: the file that says at which step to die
_CALLS = ("rename", "replace", "fsync", "fdatasync", "unlink", "rmdir", "mkdir", "symlink", "link")
_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from rig.mortal import main; main()"
_WITHIN = {"dir_fd", "src_dir_fd"}  # given for what is inside of a tree that nobody sees yet
_OTHERS = ("trash", "sync")  # threads that work at their own times


class MortalEngine(Engine):
    """An engine under `main`, the program below."""

    @property
    def plan(self) -> Path:
        return self.directory / "doom"

    @property
    def command(self) -> list[str]:
        _, *arguments = super().command
        boot = [sys.executable, "-c", _BOOT, str(Path(__file__).parent.parent)]
        return ["env", f"{_PLAN}={self.plan}", *boot, *arguments]

    def doom(self, step: int) -> None:
        """Let the engine die at a step, counted from now on."""
        aside = self.plan.with_suffix(".new")
        aside.write_text(str(step))
        aside.rename(self.plan)

    def survived(self) -> bool:
        """Lift the doom; return whether the engine still lives. One that does not is started again."""
        assert self.process
        self.plan.unlink()
        try:
            self.process.wait(0.3)
        except subprocess.TimeoutExpired:
            return True
        self.start()
        return False


class _Steps:
    def __init__(self, plan: str) -> None:
        self._plan = plan
        self._count = 0
        self._lock = threading.Lock()

    def take(self) -> None:
        """Count a step, and die if it is the one."""
        if threading.current_thread().name in _OTHERS:
            return
        try:
            descriptor = os.open(self._plan, os.O_RDONLY)
        except FileNotFoundError:
            self._count = 0
            return
        doom = int(os.read(descriptor, 20))
        os.close(descriptor)
        with self._lock:
            self._count += 1
            if self._count == doom:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def stepping(*arguments: Any, **options: Any) -> Any:
            if options.keys() & _WITHIN:
                return call(*arguments, **options)
            self.take()
            result = call(*arguments, **options)
            self.take()
            return result

        return stepping


def main() -> None:
    """Run proad; what it imports from here on finds the counting calls."""
    from proa.engine.database import Database

    steps = _Steps(os.environ[_PLAN])
    for name in _CALLS:
        setattr(os, name, steps.around(getattr(os, name)))
    plain, counting = Database.execute, steps.around(Database.execute)

    def execute(database: Database, statement: str, parameters: Any = ()) -> int:
        inside = database._depth and statement != "COMMIT"  # not visible before its transaction is
        return (plain if inside else counting)(database, statement, parameters)

    Database.execute = execute  # type: ignore[method-assign, assignment]
    from proa.engine_main import main as proad

    proad()
