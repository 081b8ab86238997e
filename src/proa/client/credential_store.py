"""Keeping and forgetting credentials: in docker's config.json, or with the helper program that it names.

The protocol of helpers is that of docker-credential-helpers: `docker-credential-NAME store|get|erase`.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess

from proa.client import configuration
from proa.client.credentials import HELPER_TIMEOUT, NOT_FOUND, TOKEN_USER, helper_of
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def store(auth: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> str:
    """Keep an AuthConfig under its serveraddress. Returns the file that has the secret as text, "" for none.

    Raises `InvalidArgument` when a helper fails or the file cannot be written.
    """
    server = auth["serveraddress"]
    config = configuration.load(environment)
    helper = helper_of(config, server)
    entry: dict[str, str] = {}
    if helper:
        token = auth.get("identitytoken", "")
        secret = {
            "ServerURL": server,
            "Username": TOKEN_USER if token else auth.get("username", ""),
            "Secret": token or auth.get("password", ""),
        }
        _run(helper, "store", json.dumps(secret), environment)
    else:
        if auth.get("username") or auth.get("password"):
            plain = f"{auth.get('username', '')}:{auth.get('password', '')}"
            entry["auth"] = base64.b64encode(plain.encode()).decode()
        if auth.get("identitytoken"):
            entry["identitytoken"] = auth["identitytoken"]
    config["auths"] = {**(config.get("auths") or {}), server: entry}
    path = _write(config, environment)
    return "" if helper else path


def erase(servers: list[str], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Forget what is kept under each of `servers`; returns what went wrong, by server."""
    config = configuration.load(environment)
    problems = {}
    for server in servers:
        helper = helper_of(config, server)
        if helper:
            try:
                _run(helper, "erase", server, environment)
            except InvalidArgument as error:
                problems[server] = error.message
    auths = config.get("auths") or {}
    if not auths.keys().isdisjoint(servers):
        config["auths"] = {key: entry for key, entry in auths.items() if key not in servers}
        _write(config, environment)
    return problems


def _run(helper: str, action: str, text: str, environment: Mapping[str, str]) -> None:
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, action], input=text, capture_output=True, text=True, timeout=HELPER_TIMEOUT,
            env=dict(environment), check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InvalidArgument(f"{program}: {error}") from None
    said = done.stdout.strip() or done.stderr.strip()
    if done.returncode and NOT_FOUND not in said:
        raise InvalidArgument(f"error storing credentials - err: exit status {done.returncode}, out: `{said}`")


def _write(config: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """Replace config.json as docker does: indented by tabs, readable for its owner alone. Returns its path."""
    folder = configuration.directory(environment)
    path = f"{folder}/config.json"
    target = os.path.realpath(path)  # a link stays one
    temporary = f"{target}.{os.getpid()}.tmp"
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(config, file, indent="\t", ensure_ascii=False)
        os.rename(temporary, target)
    except OSError as error:
        raise InvalidArgument(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from None
    return path
