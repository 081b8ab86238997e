"""POST /images/create: pull from a registry (fromImage) or import a tar file (fromSrc)."""

from __future__ import annotations

from collections.abc import AsyncIterable

from proa.api import credentials, jsonstream
from proa.api.jsonstream import Emit
from proa.api.request import Request
from proa.errors import InvalidArgument
from proa.oci import digest as digests


async def create(request: Request) -> None:
    if request.query.text("fromImage"):
        await _pull(request)
    elif request.query.text("fromSrc"):
        await _import(request)
    else:
        raise InvalidArgument("invalid reference format")


async def _pull(request: Request) -> None:
    query = request.query
    name, tag = query.text("fromImage"), query.text("tag")
    # Without a tag in either place the client means all tags, unless the name has one of its own.
    all_tags = not tag and ":" not in name.rpartition("/")[2] and "@" not in name
    reference = name.removesuffix(":")
    if tag:
        reference = f"{reference}@{tag}" if _is_digest(tag) else f"{reference}:{tag}"
    auth = credentials.for_registry(credentials.decode(request.headers.get("x-registry-auth", "")))
    headers = {name: value for name, value in request.headers.items() if name.startswith("x-meta-")}

    async def work(emit: Emit) -> None:
        await request.engine.puller.pull(
            reference,
            platform=query.text("platform"),
            credentials=auth,
            headers=headers,
            all_tags=all_tags or name.endswith(":"),
            progress=lambda step: emit(jsonstream.progress(step.id, step.status, step.current, step.total)),
        )

    await jsonstream.run(request.wire, work)


def _is_digest(text: str) -> bool:
    try:
        digests.validate(text)
    except InvalidArgument:
        return False
    return True


async def _import(request: Request) -> None:
    query = request.query
    source = query.text("fromSrc")
    repository, tag = query.text("repo"), query.text("tag")
    chunks: AsyncIterable[bytes] = request.body

    async def work(emit: Emit) -> None:
        if source != "-":
            emit({"status": f"Downloading from {source}"})
        image_id = await request.engine.importer.import_(
            chunks,
            reference=f"{repository}:{tag}" if repository and tag else repository,
            message=query.text("message"),
            changes=query.all("changes"),
            platform=query.text("platform"),
            origin="" if source == "-" else source,
        )
        emit({"status": image_id})

    await jsonstream.run(request.wire, work)
