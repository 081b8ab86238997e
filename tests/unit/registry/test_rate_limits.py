"""429: waited for when it is short, told of, and an error that says for how long when it is not."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from proa.errors import Unavailable
from proa.oci.platform import Platform
from proa.oci.reference import Reference
from proa.registry import Registry, Wait
from proa.registry.failures import pause
from proa.registry.requests import Patience
from rig.faults import FaultyProxy, answer
from rig.images import Image

AMD64 = Platform("linux", "amd64")
BODY = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"Slow down."}]}'


async def test_a_short_limit_is_waited_for_and_told(client: Registry, proxy: FaultyProxy, image: Image) -> None:
    proxy.fault("manifests", answer(429, BODY, Retry_After="1"), methods=("HEAD", "GET"))
    proxy.fault(f"blobs/{image.config_digest}", answer(429, BODY, Retry_After="1"))
    told: list[str] = []
    waits: list[Wait] = []
    began = time.monotonic()
    repository = client.repository(Reference.parse(f"{proxy.address}/team/app"), notice=told.append)
    resolved = await repository.resolve(AMD64)
    async for _ in repository.fetch(resolved.manifest.config, on_retry=waits.append):
        pass
    assert 2 <= time.monotonic() - began < 20
    assert [*told, *map(str, waits)] == [f"Waiting 1 second: {proxy.address} limits requests"] * 2


HUB = {"RateLimit_Limit": "100;w=21600"}
LONG = {
    "hours": ({"Retry_After": "7200"}, r" \(again in 2 hours\)"),
    "a date": ({"Retry_After": formatdate(time.time() + 3600 * 5, usegmt=True)}, r" \(again in 5 hours\)"),
    "a moment": ({"Retry_After": f"{time.time() + 3600 * 9:.0f}"}, r" \(again in 9 hours\)"),
    "hub": (
        {**HUB, "RateLimit_Remaining": "0;w=21600"},
        r" \(127\.0\.0\.1:\d+ allows 100 in 6 hours, 0 left; again in 6 hours\)",
    ),
    "both": (
        {**HUB, "RateLimit_Remaining": "0;w=21600", "Retry_After": "100"},
        r" \(127\.0\.0\.1:\d+ allows 100 in 6 hours, 0 left; again in 100 seconds\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LONG)
async def test_a_long_limit_is_an_error_at_once(client: Registry, proxy: FaultyProxy, kind: str) -> None:
    headers, words = LONG[kind]
    proxy.fault("manifests", answer(429, BODY, **headers), times=99, methods=("HEAD", "GET"))
    repository = client.repository(Reference.parse(f"{proxy.address}/team/app"))
    with pytest.raises(Unavailable, match=rf"^toomanyrequests: Slow down\.{words}$"):
        await repository.resolve(AMD64)
    assert len(proxy.requests) == 1


async def test_a_limit_that_stays(proxy: FaultyProxy) -> None:
    client = Registry(patience=Patience(attempts=4, first_delay=0.01, longest_delay=0.05))
    more = answer(429, BODY, RateLimit_Limit="10;w=60", RateLimit_Remaining="3;w=60")
    proxy.fault("manifests", more, times=99, methods=("HEAD", "GET"))
    told: list[str] = []
    repository = client.repository(Reference.parse(f"{proxy.address}/team/app"), notice=told.append)
    with pytest.raises(
        Unavailable, match=r"^toomanyrequests: Slow down\. \(127.* allows 10 in 1 minute, 3 left\)$"
    ):
        await repository.resolve(AMD64)
    assert len(told) == 3
    await client.close()


async def test_a_push_is_limited_too(client: Registry, proxy: FaultyProxy, image: Image) -> None:
    proxy.fault("manifests", answer(429, BODY, Retry_After="1"), methods=("PUT",))
    told: list[str] = []
    target = client.target(Reference.parse(f"{proxy.address}/team/app"), notice=told.append)
    await target.push_manifest("latest", image.document, image.media_type)
    assert told == [f"Waiting 1 second: {proxy.address} limits requests"]


@pytest.mark.parametrize("text", ["", "soon", "-5", "1.5", "Wed, 99 Foo", "9" * 400, "٣"])
def test_pauses_that_make_no_sense(text: str) -> None:
    assert pause(text) >= 0
