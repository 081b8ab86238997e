"""POST /commit: a container's changes become an image."""

from __future__ import annotations

from proa.api.request import Request, Response, convert, json_response
from proa.api.translate.changes import instructions
from proa.api.types.containers import Config


async def commit(request: Request) -> Response:
    query = request.query
    document = await request.json_object(Config)
    changes = instructions(convert(document, Config)) if document else []
    image_id = await request.engine.containers.commit(
        query.text("container"),
        repository=query.text("repo"),
        tag=query.text("tag"),
        comment=query.text("comment"),
        author=query.text("author"),
        pause=query.flag("pause", default=True),
        changes=[*changes, *query.all("changes")],
    )
    return json_response({"Id": image_id}, 201)
