"""GET /images/get, GET /images/{name}/get and POST /images/load: images as archives."""

from __future__ import annotations

from proa.api import jsonstream
from proa.api.jsonstream import Emit
from proa.api.request import Request
from proa.api.translate import images as translate

_TAR = "application/x-tar"


async def save(request: Request) -> None:
    await _save(request, [request.name()])


async def save_several(request: Request) -> None:
    await _save(request, request.query.all("names"))


async def _save(request: Request, names: list[str]) -> None:
    platform = _platform(request)
    async with request.engine.saver.save(names, platform) as pieces:
        stream = await request.wire.begin(200, _TAR)
        async for piece in pieces:
            await stream.write(piece)
        await stream.close()


async def load(request: Request) -> None:
    platform = _platform(request)
    quiet = request.query.flag("quiet")

    async def work(emit: Emit) -> None:
        await request.engine.loader.load(
            request.body,
            platform=platform,
            progress=lambda step: (
                None if quiet else emit(jsonstream.progress(step.id, step.status, step.current, step.total))
            ),
            tell=lambda text: emit({"stream": f"{text}\n"}),
        )

    await jsonstream.run(request.wire, work, begun=True)


def _platform(request: Request) -> str:
    return translate.one_platform(request.query.all("platform")) if request.version >= (1, 48) else ""
