"""POST /images/{name}/push: an image, or without a tag all tags of a repository, to a registry."""

from __future__ import annotations

from proa.api import credentials, jsonstream
from proa.api.jsonstream import Emit
from proa.api.request import Request
from proa.api.translate import images as translate
from proa.engine.images.push import Pushed


async def push(request: Request) -> None:
    name, tag = request.name(), request.query.text("tag")
    platform = translate.platform(request.query.text("platform")) if request.version >= (1, 46) else ""
    auth = credentials.for_registry(credentials.decode(request.headers.get("x-registry-auth", "")))
    headers = {name: value for name, value in request.headers.items() if name.startswith("x-meta-")}

    async def work(emit: Emit) -> None:
        await request.engine.pusher.push(
            f"{name}:{tag}" if tag else name,
            platform=platform,
            credentials=auth,
            headers=headers,
            progress=lambda step: emit(jsonstream.progress(step.id, step.status, step.current, step.total)),
            pushed=lambda one: emit(_aux(one)),
        )

    await jsonstream.run(request.wire, work)


def _aux(one: Pushed) -> jsonstream.Message:
    """What programs read to learn what a registry calls the image now."""
    return {"progressDetail": {}, "aux": {"Tag": one.tag, "Digest": one.digest, "Size": one.size}}
