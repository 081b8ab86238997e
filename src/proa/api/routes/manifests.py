"""/proa/manifests and /proa/digests: what registries have, as `proa manifest` and `proa image outdated` ask.
Docker's command line does this itself; here the engine does, whose files say how registries are reached.
"""

from __future__ import annotations

from typing import Any

from proa.api import credentials
from proa.api.request import Request, Response, json_response, required
from proa.api.types.manifests import ListPush
from proa.engine.images.lists import Part
from proa.oci import digest as digests
from proa.oci.platform import Platform
from proa.oci.reference import Reference
from proa.registry import Credentials


async def look(request: Request) -> Response:
    found = await request.engine.lists.look(
        Reference.parse(request.name()), _credentials(request), request.query.flag("insecure")
    )
    descriptor: dict[str, Any] = {
        "mediaType": found.media_type, "digest": found.digest, "size": len(found.raw),
    }  # fmt: skip
    if found.platform:
        descriptor["platform"] = _platform(found.platform)
    return json_response({"Descriptor": descriptor, "Raw": found.raw})


async def digest(request: Request) -> Response:
    found = await request.engine.lists.digest(Reference.parse(request.name()), _credentials(request))
    return json_response({"Digest": found})


async def push(request: Request) -> Response:
    body = required(await request.json(ListPush))
    parts = [Part(Reference.parse(part.ref), part.raw, part.media_type) for part in body.manifests]
    pushed = await request.engine.lists.push(
        Reference.parse(request.name()), body.raw, body.media_type, parts,
        _credentials(request), request.query.flag("insecure"),
    )  # fmt: skip
    return json_response({"Digest": digests.of(body.raw), "Pushed": pushed})


def _credentials(request: Request) -> Credentials:
    return credentials.for_registry(credentials.decode(request.headers.get("x-registry-auth", "")))


def _platform(platform: Platform) -> dict[str, Any]:
    """Return a platform as the image specification writes it."""
    document: dict[str, Any] = {
        "architecture": platform.architecture,
        "os": platform.os,
        "os.version": platform.os_version,
        "os.features": list(platform.os_features),
        "variant": platform.variant,
    }
    return {name: value for name, value in document.items() if value or name in ("architecture", "os")}
