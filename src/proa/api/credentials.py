"""Registry credentials as clients send them: X-Registry-Auth, and the body of /auth."""

from __future__ import annotations

import base64
import binascii

import msgspec

from proa.registry import Credentials


class AuthConfig(msgspec.Struct, kw_only=True):
    """Docker's AuthConfig, with its lower-case names."""

    username: str = ""
    password: str = ""
    auth: str = ""
    identitytoken: str = ""
    registrytoken: str = ""
    serveraddress: str = ""
    email: str = ""  # sent by old clients, of no use


def decode(header: str) -> AuthConfig | None:
    """Read X-Registry-Auth: base64 of JSON, in either alphabet, padded or not.

    None for none; what can not be decoded counts as none too, as in Docker.
    """
    text = header.strip().replace("+", "-").replace("/", "_").rstrip("=")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        config = msgspec.json.decode(data, type=AuthConfig)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None
    if config.auth and not config.username:
        config.username, config.password = _basic(config.auth)
    return config if config.username or config.identitytoken or config.registrytoken else None


def _basic(auth: str) -> tuple[str, str]:
    try:
        username, _, password = base64.b64decode(auth).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return username, password


def for_registry(config: AuthConfig | None) -> Credentials:
    """Return credentials as the registry client takes them; anonymous ones for None."""
    if config is None:
        return Credentials()
    return Credentials(config.username, config.password, config.identitytoken, config.registrytoken)
