"""POST /auth and GET /distribution/{name}/json: what asks a registry and keeps nothing."""

from __future__ import annotations

from typing import Any

from proa.api import credentials
from proa.api.request import Request, Response, json_response, required
from proa.oci import image_config
from proa.oci import manifest as manifests
from proa.oci.image_config import ImageConfig
from proa.oci.platform import Platform
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
    repository = request.engine.registry.inspected(reference, credentials.for_registry(given))
    raw, content_type = await repository.document()
    found = manifests.parse(raw, content_type)
    descriptor = found.descriptor
    if isinstance(found, manifests.Index):
        platforms = [entry.platform.to_platform() for entry in found.manifests if entry.platform is not None]
    else:
        config = ImageConfig.parse(await repository.read(found.config, image_config.MAX_SIZE))
        platforms = [config.platform]
    return json_response({
        "Descriptor": {
            "mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size,
        },
        "Platforms": [_platform(each) for each in platforms],
    })  # fmt: skip


def _platform(platform: Platform) -> dict[str, Any]:
    document = {"architecture": platform.architecture, "os": platform.os}
    if platform.variant:
        document["variant"] = platform.variant
    return document
