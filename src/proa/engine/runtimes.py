"""The OCI runtimes that containers can be run with: Proa's own, and others by their command line."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from proa.engine.settings import DEFAULT_RUNTIME, ConfiguredRuntime
from proa.errors import InvalidArgument, Unsupported

# Known by name wherever they are installed, as runc is to dockerd; others are named by `--add-runtime`.
_KNOWN = ("runc", "crun", "youki", "runsc")


class Runtimes:
    """Runtimes by name; `configured` are those of the engine's options, `default` stands for none named."""

    def __init__(self, configured: Mapping[str, ConfiguredRuntime], default: str = DEFAULT_RUNTIME) -> None:
        if DEFAULT_RUNTIME in configured:
            raise InvalidArgument(f"the runtime name {DEFAULT_RUNTIME} is reserved")
        self._configured = dict(configured)
        self.default = default
        self.command(default)  # a start of the engine is the time to hear of a mistake

    def command(self, name: str) -> list[str]:
        """Return the program and its arguments, [] for Proa's own. Raises `InvalidArgument` in Docker's words."""
        name = name or self.default
        if name == DEFAULT_RUNTIME:
            return []
        configured = self._configured.get(name)
        if configured is None and name not in _KNOWN:
            raise InvalidArgument(f"unknown or invalid runtime name: {name}")
        path = configured.path if configured else name
        program = shutil.which(path)
        if program is None:
            raise Unsupported(f"the runtime {name} is not installed: there is no program {path}")
        return [program, *(configured.arguments if configured else ())]

    def all(self) -> dict[str, dict[str, Any]]:
        """Return what there is, as `info` shows it."""
        known = {name: {"path": path} for name in _KNOWN if (path := shutil.which(name))}
        configured = {
            name: {"path": one.path} | ({"runtimeArgs": one.arguments} if one.arguments else {})
            for name, one in self._configured.items()
        }
        return {DEFAULT_RUNTIME: {"path": ""}} | known | configured
