"""GET /proa/openapi.json: the API told to programs. Docker has no such path."""

from __future__ import annotations

from proa.api.request import Request, Response, json_response


async def openapi(request: Request) -> Response:
    from proa.api.description.document import document  # few clients want it

    return json_response(document())
