"""POST /containers/create. The next hop of `run` is `engine/containers/create.py`."""

from __future__ import annotations

from proa.api.request import Request, Response, convert, json_response
from proa.api.translate import create as translate
from proa.api.translate import mounts, requests
from proa.api.types.containers import CreateBody
from proa.errors import InvalidArgument


async def create(request: Request) -> Response:
    if request.body.empty:
        raise InvalidArgument("invalid JSON: got EOF while reading request body")
    document = await request.json_object(CreateBody)
    if not document:
        raise InvalidArgument("config cannot be empty in order to create a container")
    warnings = requests.adapt(document, request.version)
    body = convert(document, CreateBody)
    warnings += mounts.warnings(body.host_config)
    options = translate.options(body, request.query.text("platform") if request.version >= (1, 41) else "")
    created = await request.engine.containers.create(options, request.query.text("name"), document)
    return json_response({"Id": created.id, "Warnings": warnings + created.warnings}, 201)
