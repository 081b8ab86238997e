"""Proa's specification as an OCI bundle that any runtime understands.

Proa's own runtime takes names of users, a compiled seccomp filter and an overlay; these become numbers, the
profile they were compiled from, and a directory. See config.md of the OCI runtime specification.
"""

from __future__ import annotations

import json
import os

from proa.runtime import users

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any

SECCOMP_SUFFIX = ".json"  # of the profile beside the compiled filter


def configuration(spec: dict[str, Any], root: str, root_fd: int) -> dict[str, Any]:
    """Return config.json for the root mounted at `root`, which `root_fd` opens. Raises `SetupError`."""
    own = spec["proa"]
    identity = users.resolve(own["user"], own["groups"], root_fd)
    result = {key: value for key, value in spec.items() if key != "proa"}
    result["root"] = {**spec["root"], "path": root}
    result["process"] = process(spec["process"], identity)
    result["linux"] = dict(spec["linux"])
    if own.get("seccomp"):
        with open(os.path.splitext(own["seccomp"])[0] + SECCOMP_SUFFIX, "rb") as file:  # noqa: PTH123 - lean
            result["linux"]["seccomp"] = json.load(file)
    return result


def process(wanted: dict[str, Any], identity: users.Identity) -> dict[str, Any]:
    """Return `process` with numbers for the user, and the home directory that Proa's runtime finds itself."""
    user = {"uid": identity.uid, "gid": identity.gid, "additionalGids": identity.groups}
    environment = list(wanted.get("env", ()))
    if not any(entry.startswith("HOME=") and entry != "HOME=" for entry in environment):
        environment = [entry for entry in environment if entry != "HOME="] + [f"HOME={identity.home}"]
    return {**wanted, "user": user, "env": environment}


def write(directory: str, configuration: dict[str, Any]) -> None:
    """Write a bundle's config.json."""
    write_file(f"{directory}/config.json", configuration)


def write_file(path: str, value: dict[str, Any]) -> None:
    """Write JSON that only root reads: environments hold passwords."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="utf-8") as file:  # noqa: PTH123 - lean
        json.dump(value, file)
