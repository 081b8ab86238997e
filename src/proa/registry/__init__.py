"""A client of registries (OCI distribution-spec, and Docker's token authentication).

    registry = Registry(mirrors=[…], insecure=[…])
    repository = registry.repository(Reference.parse("busybox"), credentials)
    resolved = await repository.resolve(platform)         # tag -> manifest, verified
    async for chunk in repository.fetch(resolved.manifest.layers[0]): …
    await registry.target(Reference.parse("host/team/app"), credentials).push_manifest(tag, raw, media_type)
    await registry.close()

What belongs here: talking to registries. What does not: where blobs are kept (content), what a pull is
(engine). The first request imports `aiohttp`, so an engine that pulls nothing does not pay for it.
"""

from proa.registry.client import Registry
from proa.registry.credentials import Credentials
from proa.registry.proxies import Proxies
from proa.registry.repository import Repository, Resolved
from proa.registry.requests import Wait
from proa.registry.target import Target

__all__ = ["Credentials", "Proxies", "Registry", "Repository", "Resolved", "Target", "Wait"]
