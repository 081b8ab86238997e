"""API versions: what is spoken, how it is negotiated, and how handlers ask for it."""

from __future__ import annotations

import re

from proa import __version__
from proa.api.errors import HttpError

Version = tuple[int, int]

MINIMUM: Version = (1, 24)
CURRENT: Version = (1, 51)
DOCKER_RELEASE = "28.5.2"  # the release whose API and wording this is: tools compare it with their minimum
ENGINE_VERSION = f"{DOCKER_RELEASE}+proa.{__version__}"
# The docker CLI reads the operating system out of `Docker/<version> (<os>)`.
SERVER = f"Docker/{DOCKER_RELEASE} (linux) Proa/{__version__}"

_PREFIX = re.compile(r"/v([0-9.]+)(?=/)")


def text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def split(path: str) -> tuple[str, str]:
    """Split "/v1.44/info" into ("1.44", "/info"); a path without a version gives ("", path)."""
    if match := _PREFIX.match(path):
        return match[1], path[match.end() :]
    return "", path


def negotiate(asked: str) -> Version:
    """Return the version to answer in; "" asks for the newest. Raises `HttpError` in Docker's words."""
    if not asked:
        return CURRENT
    version = _parse(asked)
    if version < MINIMUM:
        raise HttpError(
            400,
            f"client version {asked} is too old. Minimum supported API version is {text(MINIMUM)}, "
            "please upgrade your client to a newer version",
            plain=True,
        )
    if version > CURRENT:
        raise HttpError(
            400, f"client version {asked} is too new. Maximum supported API version is {text(CURRENT)}"
        )
    return version


def _parse(asked: str) -> Version:
    """Read "1.44"; like Docker's comparison, a part that is missing or empty counts as 0."""
    parts = [int(part[:9] or 0) for part in asked.split(".")] + [0]
    return parts[0], parts[1]
