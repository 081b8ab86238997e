"""registries.conf: which rule speaks of a name, and where it leads."""

from __future__ import annotations

from pathlib import Path

import pytest

from proa.errors import Forbidden, InvalidArgument
from proa.oci.platform import Platform
from proa.oci.reference import Reference
from proa.registry import Registry
from proa.registry.hosts import Hosts
from rig.faults import FaultyProxy
from rig.images import Image

DIGEST = "sha256:" + "0" * 64


async def ways(place: Path, name: str) -> list[str]:
    reference = Reference.parse(name)
    found = await Hosts(places=[place]).endpoints(reference.domain, reference)
    return [f"{each.scheme}://{each.host}/{each.path(reference.path)}" for each in found]


RULES = """
[[registry]]
location = "plain.example"
[[registry.mirror]]
location = "mirror.example:5000/plain"
[[registry]]
prefix = "plain.example/team"
location = "elsewhere.example/other/group"
[[registry]]
prefix = "plain.example/team/exact"
location = "here.example/exact"
[[registry]]
prefix = "*.wild.example"
location = "tame.example"
[[registry]]
prefix = "special.wild.example"
[[registry]]
prefix = "docker.io"
location = "docker.io"
[[registry.mirror]]
location = "hub.example/cache"
[[registry]]
location = "insecure.example"
insecure = true
[[registry]]
prefix = "digests.example"
mirror-by-digest-only = true
[[registry.mirror]]
location = "m.example"
[[registry]]
prefix = "kinds.example"
[[registry.mirror]]
location = "tags.example"
pull-from-mirror = "tag-only"
[[registry.mirror]]
location = "all.example"
pull-from-mirror = "all"
"""

WAYS = {
    "plain.example/app": ["mirror.example:5000/plain/app", "plain.example/app"],
    "plain.example:5000/app": ["plain.example:5000/app"],
    "plain.example/team/app": ["elsewhere.example/other/group/app"],
    "plain.example/teams/app": ["mirror.example:5000/plain/teams/app", "plain.example/teams/app"],
    "plain.example/team/exact": ["here.example/exact"],
    "a.wild.example/x": ["tame.example/x"],
    "a.b.wild.example/x/y": ["tame.example/x/y"],
    "wild.example/x": ["wild.example/x"],
    "special.wild.example/x": ["special.wild.example/x"],
    "busybox": ["hub.example/cache/library/busybox", "registry-1.docker.io/library/busybox"],
    "team/app": ["hub.example/cache/team/app", "registry-1.docker.io/team/app"],
    "digests.example/a:1": ["digests.example/a"],
    f"digests.example/a@{DIGEST}": ["m.example/a", "digests.example/a"],
    "kinds.example/a:1": ["tags.example/a", "all.example/a", "kinds.example/a"],
    f"kinds.example/a@{DIGEST}": ["all.example/a", "kinds.example/a"],
    "unknown.example/a": ["unknown.example/a"],
}


@pytest.mark.parametrize("name", WAYS)
async def test_rules(tmp_path: Path, name: str) -> None:
    (tmp_path / "registries.conf").write_text(RULES)
    assert await ways(tmp_path, name) == [f"https://{way}" for way in WAYS[name]]


async def test_an_insecure_location(tmp_path: Path) -> None:
    (tmp_path / "registries.conf").write_text(RULES)
    assert await ways(tmp_path, "insecure.example/a") == [
        "https://insecure.example/a", "http://insecure.example/a",
    ]  # fmt: skip


async def test_drop_ins_come_later(tmp_path: Path) -> None:
    (tmp_path / "registries.conf").write_text(RULES)
    (tmp_path / "registries.conf.d").mkdir()
    (tmp_path / "registries.conf.d/a.conf").write_text('[[registry]]\nlocation = "plain.example"\nblocked = true')
    (tmp_path / "registries.conf.d/b.conf").write_text(
        '[[registry]]\nlocation = "new.example"\nprefix = "plain.example"'
    )
    assert await ways(tmp_path, "plain.example/app") == ["https://new.example/app"]


async def test_blocked(tmp_path: Path) -> None:
    path = tmp_path / "registries.conf"
    path.write_text('[[registry]]\nlocation = "docker.io"\nblocked = true')
    client = Registry(places=[tmp_path])
    with pytest.raises(Forbidden, match=f'^registry "docker.io" is blocked in {path}$'):
        await client.repository(Reference.parse("busybox")).tags()
    await client.close()


BAD = {
    "[[registry]]": r"registry\[0\].location: is missing",
    '[[registry]]\nlocation = "https://x"': r"location: expected HOST\[:PORT\]\[/PATH\] without scheme",
    '[[registry]]\nlocation = "x"\nblockd = true': r"registry\[0\].blockd: unknown key; known are blocked,",
    '[[registry]]\nlocation = "x"\nblocked = 1': r"registry\[0\].blocked: expected a boolean, not 1",
    '[[registry]]\nlocation = "x"\n[[registry.mirror]]': r"registry\[0\].mirror\[0\].location: is missing",
    '[[registry]]\nlocation = "x"\n[[registry.mirror]]\nlocation = "y"\npull-from-mirror = "some"':
        r"registry\[0\].mirror\[0\].pull-from-mirror: expected one of all, digest-only, tag-only, not 'some'",
    '[[registry]]\nlocation = "x"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "y"\n'
    'pull-from-mirror = "all"': "cannot be used beside mirror-by-digest-only",
    '[[registry]]\nprefix = "*.x/y"\nlocation = "z"': r"registry\[0\].prefix: a wildcard stands for hosts",
    "registry = 1": "registry: expected an array of tables, not 1",
    "registry = [1]": r"registry\[0\]: expected a table, not 1",
    '[registries.search]\nregistries = ["x"]': "registries: this is version 1 of the format",
    "other = 1": "other: unknown key; known are",
    "[": "Invalid|Expected",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD)
async def test_bad_files(tmp_path: Path, text: str) -> None:
    path = tmp_path / "registries.conf"
    path.write_text(text)
    with pytest.raises(InvalidArgument, match=f"^{path}: .*({BAD[text]})"):
        await ways(tmp_path, "x/y:1")
    (warning,) = Registry(places=[tmp_path]).warnings()
    assert warning.startswith(f"{path}: ")


async def test_what_has_no_meaning_here(tmp_path: Path) -> None:
    (tmp_path / "registries.conf").write_text(
        'unqualified-search-registries = ["quay.io"]\nshort-name-mode = "enforcing"\n[aliases]\nfedora = "x/y"\n'
    )
    warnings = Registry(places=[tmp_path]).warnings()
    assert warnings == [
        f"{tmp_path}/registries.conf: {key} has no meaning for Proa"
        for key in ("unqualified-search-registries", "short-name-mode")
    ]
    assert await ways(tmp_path, "fedora") == ["https://registry-1.docker.io/library/fedora"]


async def test_a_real_registry_under_another_name(tmp_path: Path, proxy: FaultyProxy, image: Image) -> None:
    text = f'[[registry]]\nprefix = "reg.example/mine"\nlocation = "{proxy.address}/team"'
    (tmp_path / "registries.conf").write_text(text)
    client = Registry(places=[tmp_path])
    repository = client.repository(Reference.parse("reg.example/mine/app"))
    resolved = await repository.resolve(Platform("linux", "amd64"))
    data = b"".join([chunk async for chunk in repository.fetch(resolved.manifest.layers[0])])
    assert data == image.blobs[resolved.manifest.layers[0].digest]
    target = client.target(Reference.parse("reg.example/mine/app"))
    await target.push_manifest("latest", image.document, image.media_type)
    assert {seen.path.split("/")[3] for seen in proxy.requests} == {"app"}
    await client.close()
