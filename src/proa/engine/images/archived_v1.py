"""Archives of Docker before 1.10: a directory for each layer, with the image's state at that layer as JSON.

There is no configuration in today's sense: it is made of the topmost JSON and the history of all, so that the
image gets the identifier that Docker gives it (its package image/v1).
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from proa.archive.compression import decompress
from proa.engine.images.staging import Member, Staging
from proa.errors import InvalidArgument
from proa.oci import manifest as manifests

_MAX_JSON = 8 << 20  # bytes
_IDENTIFIER = frozenset("0123456789abcdef")
# What a configuration has no more.
_DROPPED = ("id", "parent", "Size", "parent_id", "layer_id", "throwaway")
_ESCAPES = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))  # as Go's encoder writes them

_Fields = dict[str, msgspec.Raw]


class _Step(msgspec.Struct):
    """The parts of a layer's JSON that history is made of."""

    parent: str = ""
    created: str | None = None
    author: str = ""
    comment: str = ""
    container_config: dict[str, Any] | None = None


def find(staging: Staging, repositories: str) -> list[tuple[bytes, list[Member], list[str]]]:
    """Return configuration, layers and names of each image that the file `repositories` names."""
    raw = staging.read(staging.member(repositories), _MAX_JSON, repositories)
    try:
        tops = msgspec.json.decode(raw, type=dict[str, dict[str, str]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"invalid archive: failed to decode {repositories}: {error}") from None
    names: dict[str, list[str]] = {}
    for repository, tags in tops.items():
        for tag, top in tags.items():
            names.setdefault(top, []).append(f"{repository}:{tag}")
    diff_ids: dict[str, str] = {}
    return [(*_image(staging, top, diff_ids), called) for top, called in names.items()]


def _image(staging: Staging, top: str, diff_ids: dict[str, str]) -> tuple[bytes, list[Member]]:
    steps: list[_Step] = []
    layers: list[str] = []
    identifier = top
    while identifier:
        if not _IDENTIFIER.issuperset(identifier):
            raise InvalidArgument("invalid archive: an image has an identifier that is none")
        if identifier in layers or len(layers) >= manifests.MAX_LAYERS:
            raise InvalidArgument("invalid archive: an image has too many layers, or is its own parent")
        step = _decode(_json(staging, identifier), _Step)
        layers.append(identifier)
        steps.append(step)
        identifier = step.parent
    layers.reverse()
    steps.reverse()
    members = [staging.member(f"{layer}/layer.tar") for layer in layers]
    for member in members:
        if member.digest not in diff_ids:
            diff_ids[member.digest] = _diff_id(staging, member)
    fields: _Fields = _decode(_json(staging, top), dict[str, msgspec.Raw])
    kept = {name: value for name, value in fields.items() if name not in _DROPPED}
    kept["rootfs"] = msgspec.Raw(
        msgspec.json.encode({"type": "layers", "diff_ids": [diff_ids[member.digest] for member in members]})
    )
    kept["history"] = msgspec.Raw(msgspec.json.encode([_history(step) for step in steps]))
    config = msgspec.json.format(msgspec.json.encode(dict(sorted(kept.items()))), indent=-1)
    for plain, escaped in _ESCAPES:
        config = config.replace(plain, escaped)
    return config, members


def _history(step: _Step) -> dict[str, Any]:
    command = (step.container_config or {}).get("Cmd")
    entry = {
        "created": step.created,
        "author": step.author,
        "created_by": " ".join(map(str, command)) if isinstance(command, list) else "",
        "comment": step.comment,
    }
    return {name: value for name, value in entry.items() if value}


def _json(staging: Staging, identifier: str) -> bytes:
    return staging.read(staging.member(f"{identifier}/json"), _MAX_JSON, f"{identifier}/json")


def _decode(raw: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"invalid archive: a layer's description is wrong: {error}") from None


def _diff_id(staging: Staging, member: Member) -> str:
    hashed = hashlib.sha256()
    for piece in decompress(staging.chunks(member)):
        hashed.update(piece)
    return f"sha256:{hashed.hexdigest()}"
