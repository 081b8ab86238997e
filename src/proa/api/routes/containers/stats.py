"""GET /containers/{id}/stats: what a container uses, each second, once, or once and at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from proa.api.request import JSON, Request, Response, json_response
from proa.api.translate.stats import document
from proa.api.translate.system import host_memory
from proa.engine.containers.stats import Sample
from proa.engine.records import Container
from proa.errors import InvalidArgument, NotFound


async def stats(request: Request) -> Response | None:
    record = request.engine.containers.get(request.name())
    follow, one_shot = request.query.flag("stream", True), request.query.flag("one-shot")
    if follow and one_shot and request.version >= (1, 41):
        raise InvalidArgument("cannot have stream=true and one-shot=true")
    async with aclosing(request.engine.containers.stats(record.id)) as samples:
        if follow:
            await _stream(request, record, samples)
            return None
        return json_response(await _one(record, samples, at_once=one_shot and request.version >= (1, 41)))


async def _one(record: Container, samples: AsyncGenerator[Sample], *, at_once: bool) -> dict[str, object]:
    """Rates need two samples; a container that does not run has none."""
    memory, before = host_memory(), None
    async for sample in samples:
        if at_once or before is not None or sample.usage is None:
            return document(record, sample, before, memory)
        before = sample
    raise NotFound(f"No such container: {record.id}")


async def _stream(request: Request, record: Container, samples: AsyncGenerator[Sample]) -> None:
    memory, before = host_memory(), None
    stream = await request.wire.begin(200, JSON)
    async for sample in samples:
        await stream.write(msgspec.json.encode(document(record, sample, before, memory)) + b"\n")
        before = sample
    await stream.close()
