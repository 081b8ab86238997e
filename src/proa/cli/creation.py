"""Making a container, for `run` and `create`: pull the image when it is missing, write the `--cidfile`."""

from __future__ import annotations

import os
import sys

from proa.cli.images import check_name
from proa.cli.options.container_body import body
from proa.client.errors import DaemonError
from proa.errors import Conflict, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

_PULL = ("always", "missing", "never")
_NOT_FOUND = 404


def prepare(invocation: Invocation) -> dict[str, Any]:
    """Return the body of the request, checked as far as that goes here. Raises `InvalidArgument`."""
    image, *command = invocation.arguments
    config = body(invocation.options, image, command)
    policy = invocation["pull"]
    if policy not in _PULL and policy:
        raise InvalidArgument(f'invalid pull option: \'{policy}\': must be one of "always", "missing" or "never"')
    check_name(image)
    if "proxies" in invocation.config:
        from proa.cli.options.proxies import variables

        proxies = variables(invocation.config, invocation.client.address.url, invocation["env"])
        config["Env"] = proxies + config.get("Env", [])
    return config


def create(invocation: Invocation, config: dict[str, Any]) -> str:
    """Make the container and return its identifier; warnings go to standard error."""
    path = invocation["cidfile"]
    if path and os.path.exists(path):
        raise Conflict(f"container ID file found, make sure the other container isn't running or delete {path}")
    if invocation["pull"] == "always":
        _pull(invocation, config["Image"])
    parameters = {}
    if invocation["name"]:
        parameters["name"] = invocation["name"]
    platform = _platform(invocation)
    if platform:
        parameters["platform"] = platform
    try:
        created = invocation.client.post("/containers/create", config, **parameters)
    except DaemonError as error:
        if error.status != _NOT_FOUND or invocation["pull"] not in ("missing", ""):
            raise
        if not invocation["quiet"]:
            from proa.cli.images import parse

            invocation.warn(f"Unable to find image '{parse(config['Image']).familiar}' locally")
        _pull(invocation, config["Image"])
        created = invocation.client.post("/containers/create", config, **parameters)
    for warning in created.get("Warnings") or ():
        invocation.warn(f"WARNING: {warning}")
    if path:
        _write_identifier(path, created["Id"])
    return str(created["Id"])


def _platform(invocation: Invocation) -> str:
    text = str(invocation["platform"] or os.environ.get("DOCKER_DEFAULT_PLATFORM", ""))
    if text:
        from proa.oci.platform import Platform

        try:
            Platform.parse(text)
        except InvalidArgument as error:
            raise InvalidArgument(f"error parsing specified platform: {error.message}") from None
    return text


def _pull(invocation: Invocation, image: str) -> None:
    from proa.cli.images import parse, pull

    output = None if invocation["quiet"] else sys.stderr
    pull(invocation.client, parse(image), _platform(invocation), output)


def _write_identifier(path: str, identifier: str) -> None:
    try:
        with open(path, "x", encoding="ascii") as file:  # noqa: PTH123 (pathlib costs 8 ms)
            file.write(identifier)
    except OSError as error:
        reason = (error.strerror or "cannot be written").lower()
        raise InvalidArgument(f"failed to create the container ID file: open {path}: {reason}") from None
