"""POST /auth and GET /distribution/{name}/json: what asks a registry and keeps nothing."""

from __future__ import annotations

from typing import Any

from proa.api import credentials
from proa.api.request import Request, Response, json_response, required
from proa.oci import manifest as manifests
from proa.oci import platform as platforms
from proa.oci.descriptor import Descriptor, PlatformRecord
from proa.oci.reference import Reference


async def auth(request: Request) -> Response:
    """Check credentials; an identity token, when the registry issues one, replaces the password."""
    config = required(await request.json(credentials.AuthConfig))
    given = credentials.for_registry(config)
    token = await request.engine.registry.login(config.serveraddress, given)
    return json_response({"IdentityToken": token, "Status": "Login Succeeded"})


async def inspect(request: Request) -> Response:
    reference = Reference.parse(request.name(), default_tag="latest")
    given = credentials.decode(request.headers.get("x-registry-auth", ""))
    repository = request.engine.registry.repository(reference, credentials.for_registry(given))
    resolved = await repository.resolve(platforms.default())
    top = manifests.parse(resolved.documents[0])
    if isinstance(top, manifests.Index):
        descriptor = Descriptor(media_type=top.media_type, digest=resolved.digest, size=len(resolved.documents[0]))
        found = [entry.platform for entry in top.manifests if entry.platform is not None]
    else:
        descriptor = resolved.manifest.descriptor
        found = []
    return json_response({
        "Descriptor": {
            "mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size,
        },
        "Platforms": [_platform(each) for each in found],
    })  # fmt: skip


def _platform(platform: PlatformRecord) -> dict[str, Any]:
    document = {"architecture": platform.architecture, "os": platform.os}
    if platform.variant:
        document["variant"] = platform.variant
    return document
