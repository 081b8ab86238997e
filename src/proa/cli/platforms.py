"""Platforms as the endpoints of images take them: JSON, where users write os/architecture/variant."""

from __future__ import annotations

from proa.cli.errors import Failure
from proa.errors import InvalidArgument


def parameter(text: str) -> str:
    """Return the `platform` parameter of what `--platform` was given. Raises `Failure`."""
    from proa.client.wire import encode
    from proa.oci.platform import Platform

    try:
        wanted = Platform.parse(text)
    except InvalidArgument as error:
        raise Failure(f"invalid platform: {error.message}") from None
    fields = {"architecture": wanted.architecture, "os": wanted.os}
    if wanted.variant:
        fields["variant"] = wanted.variant
    return encode(fields).decode()
