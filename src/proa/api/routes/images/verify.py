"""POST /proa/images/verify: is what the disk holds of images what their digests say?"""

from __future__ import annotations

import msgspec

from proa.api import credentials, jsonstream
from proa.api.jsonstream import Emit
from proa.api.request import Request


async def verify(request: Request) -> None:
    """Answer with a document for each image, as soon as it was looked at."""
    query = request.query
    auth = credentials.for_registry(credentials.decode(request.headers.get("x-registry-auth", "")))
    found = request.engine.verifier.verify(
        query.all("image"), everything=query.flag("all"), repair=query.flag("repair"), credentials=auth
    )

    async def work(emit: Emit) -> None:
        async for one in found:
            emit(
                {
                    "Id": one.id,
                    "RepoTags": one.names,
                    "Checked": one.checked,
                    "Problems": [msgspec.to_builtins(problem) for problem in one.problems],
                }
            )

    await jsonstream.run(request.wire, work)
