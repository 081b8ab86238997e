"""Credentials that `docker login` left (config.json's auths, credHelpers, credsStore), for X-Registry-Auth."""

from __future__ import annotations

import base64
import json
import os
import subprocess

from proa.client import configuration
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

HUB = "https://index.docker.io/v1/"  # the hub's key in config.json, an API that is long gone
HELPER_TIMEOUT = 60  # seconds; helpers may ask the user something
TOKEN_USER = "<token>"  # a helper's word for "the secret is an identity token"
NOT_FOUND = "credentials not found in native keychain"


def registry_auth(domain: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the X-Registry-Auth header for a registry ("docker.io", "ghcr.io"), "" when nothing is known.

    Raises `InvalidArgument` for a configuration that cannot be read or a helper that fails.
    """
    found = lookup(HUB if domain in ("docker.io", "index.docker.io") else domain, environment)
    return encode(found) if found else ""


def encode(auth: Mapping[str, str]) -> str:
    """Return the base64url JSON form (AuthConfig of the Docker Engine API)."""
    return base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()


def key_of(server: str) -> str:
    """Return what config.json calls a registry that a user calls `server`, "" or "docker.io" for the hub."""
    return HUB if server in ("", "docker.io", HUB) else hostname(server)


def helper_of(config: Mapping[str, Any], server: str) -> str:
    """Return the name of the helper that keeps a registry's credentials, "" for none."""
    helpers = config.get("credHelpers") or {}
    return str(helpers.get(hostname(server)) or helpers.get(server) or config.get("credsStore") or "")


def lookup(server: str, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the AuthConfig of `server`, {} when nothing is known."""
    config = load(environment)
    helper = helper_of(config, server)
    if helper:
        return _ask_helper(helper, server, environment)
    auths: dict[str, Any] = config.get("auths") or {}
    entry = auths.get(server) or next((auths[key] for key in auths if hostname(key) == hostname(server)), None)
    return _from_entry(entry, server) if entry else {}


def load(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return docker's configuration, or what DOCKER_AUTH_CONFIG holds in its place."""
    text = environment.get("DOCKER_AUTH_CONFIG", "")
    if not text:
        return configuration.load(environment)
    try:
        config = json.loads(text)
    except ValueError as error:
        raise InvalidArgument(f"DOCKER_AUTH_CONFIG: {error}") from None
    if not isinstance(config, dict):
        raise InvalidArgument("DOCKER_AUTH_CONFIG: not a JSON object")
    return config


def _from_entry(entry: dict[str, Any], server: str) -> dict[str, str]:
    auth = {
        "username": str(entry.get("username", "")),
        "password": str(entry.get("password", "")),
        "serveraddress": server,
    }
    if entry.get("auth"):
        try:
            plain = base64.b64decode(str(entry["auth"]), validate=True).decode().rstrip("\0")
        except ValueError as error:
            raise InvalidArgument(f"invalid auth of {server} in config.json: {error}") from None
        auth["username"], _, auth["password"] = plain.partition(":")
    for name in ("identitytoken", "registrytoken"):
        if entry.get(name):
            auth[name] = str(entry[name])
    return auth if auth["username"] or len(auth) > 3 else {}


def _ask_helper(helper: str, server: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Run `docker-credential-HELPER get` (docker-credential-helpers' protocol): server in, JSON out."""
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, "get"], input=server, capture_output=True, text=True, timeout=HELPER_TIMEOUT,
            env=dict(environment), check=False,
        )  # fmt: skip
        output = done.stdout.strip()
        if done.returncode:
            if NOT_FOUND in output:
                return {}
            raise InvalidArgument(f"error getting credentials - err: {program}: {output or done.stderr.strip()}")
        answer = json.loads(output)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise InvalidArgument(f"error getting credentials - err: {program}: {error}") from None
    if answer["Username"] == TOKEN_USER:
        return {"identitytoken": str(answer["Secret"]), "serveraddress": server}
    return {"username": str(answer["Username"]), "password": str(answer["Secret"]), "serveraddress": server}


def hostname(server: str) -> str:
    """Return the registry's host of a key of `auths`, which may be a URL."""
    return server.removeprefix("https://").removeprefix("http://").partition("/")[0]
