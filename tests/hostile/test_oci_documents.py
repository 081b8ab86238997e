"""Bad references, digests, manifests, indexes and configurations: refused in one line and by class."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proa.errors import InvalidArgument, ProaError, Unsupported
from proa.oci import digest, manifest
from proa.oci.image_config import ImageConfig
from proa.oci.reference import Reference

SHA = "sha256:" + "ab" * 32
FORMAT = "invalid reference format"

REFERENCES = {
    "": FORMAT,
    " ": FORMAT,
    ":": FORMAT,
    "/": FORMAT,
    "@": FORMAT,
    "busybox:": FORMAT,
    ":latest": FORMAT,
    "busybox@": FORMAT,
    "busybox@sha256:abc": FORMAT,
    "busybox:la test": FORMAT,
    "busybox:-x": FORMAT,
    "busybox:" + "t" * 129: FORMAT,
    "busybox\n": FORMAT,
    "busybox:latest\n": FORMAT,
    "busybox\0": FORMAT,
    "bücher": FORMAT,
    "busybox:läst": FORMAT,
    "-busybox": FORMAT,
    "busybox-": FORMAT,
    "a..b": FORMAT,
    "a___b": FORMAT,
    "a//b": FORMAT,
    "../etc/passwd": FORMAT,
    "localhost:5000/../x": FORMAT,
    "http://localhost:5000/x": FORMAT,
    "user@localhost:5000/x": FORMAT,
    "localhost:port/x": FORMAT,
    "-host.com/x": FORMAT,
    "host..com/x": FORMAT,
    "a" * 1_000_000: FORMAT,
    "a-" * 400: FORMAT,
    "Foo": "invalid reference format: repository name (library/Foo) must be lowercase",
    "foo/Bar": "invalid reference format: repository name (foo/Bar) must be lowercase",
    "localhost:5000/App:v1": "invalid reference format: repository name (App) must be lowercase",
    "ab" * 32: f"invalid repository name ({'ab' * 32}), cannot specify 64-byte hexadecimal strings",
    "x" * 300: "invalid reference format: repository name must not be more than 255 characters",
    "busybox@sha256:" + "ab" * 16: "invalid checksum digest length",
    "busybox@sha256:" + "AB" * 32: "invalid checksum digest format",
    "busybox@sha1:" + "ab" * 20: "unsupported digest algorithm",
}


@pytest.mark.parametrize("text", REFERENCES, ids=lambda text: ascii(text[:40]))
def test_references(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Reference.parse(text)
    assert caught.value.message == REFERENCES[text]


DIGESTS = [
    "", "sha256", "sha256:", ":" + "a" * 64, "sha256:" + "a" * 63, "sha256:" + "a" * 65,
    "sha256:" + "g" * 64, "sha256:" + "A" * 64, "SHA256:" + "a" * 64, "md5:" + "a" * 32,
    "sha256:../" + "a" * 61, "../sha256:" + "a" * 64, "sha256:" + "a" * 63 + "\n", "sha256/" + "a" * 64,
    "sha256:" + "a" * 63 + "\0", "sha512:" + "a" * 64, "sha256:" + "١" * 64, None, 7, b"sha256:" + b"a" * 64,
]  # fmt: skip


@pytest.mark.parametrize("text", DIGESTS, ids=lambda text: ascii(text)[:40])
def test_digests(text: object) -> None:
    with pytest.raises(InvalidArgument, match="digest"):
        digest.validate(text)
    assert not digest.is_valid(text)


CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": SHA, "size": 2}
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": SHA, "size": 2}
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def image(**changes: Any) -> bytes:
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": CONFIG, "layers": [LAYER], **changes}
    return json.dumps({name: value for name, value in document.items() if value != "absent"}).encode()


def index(*manifests: Any, **changes: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests), **changes}).encode()


MANIFESTS: dict[str, tuple[bytes, type[ProaError]]] = {
    "empty": (b"", InvalidArgument),
    "no JSON": (b"<html>404</html>", InvalidArgument),
    "cut": (image()[:-1], InvalidArgument),
    "not UTF-8": (b'{"schemaVersion":2,"x":"\xff"}', InvalidArgument),
    "a list": (b"[]", InvalidArgument),
    "null": (b"null", InvalidArgument),
    "a number": (b"2", InvalidArgument),
    "too large": (image(padding="x" * manifest.MAX_SIZE), InvalidArgument),
    "deep": (b'{"schemaVersion":2,"layers":' + b"[" * 100_000 + b"]" * 100_000 + b"}", InvalidArgument),
    "no version": (image(schemaVersion="absent"), InvalidArgument),
    "version 3": (image(schemaVersion=3), InvalidArgument),
    "version is text": (image(schemaVersion="2"), InvalidArgument),
    "version is 2.0": (image().replace(b'"schemaVersion": 2', b'"schemaVersion": 2.0'), InvalidArgument),
    "schema 1": (b'{"schemaVersion":1,"name":"x","fsLayers":[]}', Unsupported),
    "unknown media type": (image(mediaType="application/x-thing"), Unsupported),
    "media type is a list": (image(mediaType=[MANIFEST]), InvalidArgument),
    "media type is an object": (image(mediaType={}, x=1), InvalidArgument),
    "manifest and index": (image(manifests=[]), InvalidArgument),
    "index and manifest": (index(layers=[]), InvalidArgument),
    "index with config": (index(config=CONFIG), InvalidArgument),
    "no config": (image(config="absent"), InvalidArgument),
    "no layers": (image(layers="absent"), InvalidArgument),
    "layers is an object": (image(layers={}), InvalidArgument),
    "layers is null": (image(layers=None), InvalidArgument),
    "layer is text": (image(layers=["x"]), InvalidArgument),
    "501 layers": (image(layers=[LAYER] * 501), InvalidArgument),
    "negative size": (image(layers=[{**LAYER, "size": -1}]), InvalidArgument),
    "huge size": (image(layers=[{**LAYER, "size": 1 << 60}]), InvalidArgument),
    "size beyond 64 bits": (image(layers=[{**LAYER, "size": 1 << 80}]), InvalidArgument),
    "size is text": (image(layers=[{**LAYER, "size": "2"}]), InvalidArgument),
    "size is NaN": (image().replace(b'"size": 2', b'"size": NaN'), InvalidArgument),
    "digest climbs": (image(layers=[{**LAYER, "digest": "sha256:../../etc/passwd"}]), InvalidArgument),
    "config digest cut": (image(config={**CONFIG, "digest": SHA[:-1]}), InvalidArgument),
    "digest is null": (image(layers=[{**LAYER, "digest": None}]), InvalidArgument),
    "index entry without digest": (index({"mediaType": MANIFEST, "size": 2}), InvalidArgument),
    "index entry with bad digest": (index({**LAYER, "digest": "x"}), InvalidArgument),
    "index entry with bad platform": (index({**LAYER, "platform": "linux/amd64"}), InvalidArgument),
    "index of null": (index(None), InvalidArgument),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests(name: str) -> None:
    raw, error = MANIFESTS[name]
    with pytest.raises(error) as caught:
        manifest.parse(raw)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    "content_type", [INDEX, "application/vnd.docker.distribution.manifest.v2+json", INDEX.upper()]
)
def test_a_registry_may_not_call_it_something_else(content_type: str) -> None:
    with pytest.raises(InvalidArgument, match="Content-Type"):
        manifest.parse(image(), content_type)


def config(**changes: Any) -> bytes:
    return json.dumps({"rootfs": {"type": "layers", "diff_ids": []}, **changes}).encode()


CONFIGS = {
    "empty": b"",
    "a list": b"[]",
    "cut": config()[:-1],
    "deep": b"[" * 200_000,
    "too large": config(x="y" * (8 << 20)),
    "no rootfs": b"{}",
    "rootfs is text": config(rootfs="layers"),
    "rootfs of another type": config(rootfs={"type": "disk", "diff_ids": []}),
    "diff ids is an object": config(rootfs={"type": "layers", "diff_ids": {}}),
    "diff id is no digest": config(rootfs={"type": "layers", "diff_ids": ["x"]}),
    "diff id is null": config(rootfs={"type": "layers", "diff_ids": [None]}),
    "os is a number": config(os=1),
    "architecture is a list": config(architecture=["amd64"]),
    "created is a number": config(created=5),
    "history is text": config(history="x"),
    "history of texts": config(history=["x"]),
    "config is a list": config(config=[]),
    "Env is text": config(config={"Env": "A=b"}),
    "Env of numbers": config(config={"Env": [1]}),
    "Entrypoint is an object": config(config={"Entrypoint": {}}),
    "Cmd holds null": config(config={"Cmd": [None]}),
    "User is a number": config(config={"User": 0}),
    "Volumes is a list": config(config={"Volumes": ["/x"]}),
    "Labels of numbers": config(config={"Labels": {"a": 1}}),
    "Healthcheck is text": config(config={"Healthcheck": "true"}),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_configurations(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        ImageConfig.parse(CONFIGS[name])
    assert "\n" not in caught.value.message


def test_the_tables_are_as_long_as_they_look() -> None:
    assert (len(REFERENCES), len(DIGESTS), len(MANIFESTS), len(CONFIGS)) == (39, 20, 38, 25)
