"""Platforms as the endpoints of images take them: JSON, where users write os/architecture/variant."""

from __future__ import annotations

from proa.cli.errors import Failure
from proa.errors import InvalidArgument

PLATFORM_FLAG = ("platform", "", "string", "Platform of the image (os/architecture/variant)")


def parameter(text: str) -> str:
    """Return the `platform` parameter of what `--platform` was given. Raises `Failure`."""
    try:
        return encoded(text)
    except InvalidArgument as error:
        raise Failure(f"invalid platform: {error.message}") from None


def encoded(text: str) -> str:
    """As `parameter`, with the bare error of some of docker's commands. Raises `InvalidArgument`."""
    from proa.client.wire import encode
    from proa.oci.platform import Platform

    wanted = Platform.parse(text)
    fields = {"architecture": wanted.architecture, "os": wanted.os}
    if wanted.variant:
        fields["variant"] = wanted.variant
    return encode(fields).decode()
