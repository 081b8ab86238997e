"""Image records as list, inspect and history show them."""

from __future__ import annotations

from typing import Any

import msgspec

from proa import times
from proa.api.types.containers import Config
from proa.api.versions import Version
from proa.engine.images.history import HistoryItem
from proa.engine.images.image import Image
from proa.errors import InvalidArgument
from proa.oci import platform as platforms


class _WirePlatform(msgspec.Struct, rename={"os_version": "os.version"}, kw_only=True):
    os: str = ""
    architecture: str = ""
    variant: str = ""
    os_version: str = ""


def platform(text: str) -> str:
    """Read the `platform` parameter, JSON here as in Docker ({"os": "linux", …}); return "linux/arm64"."""
    if not text:
        return ""
    try:
        wanted = msgspec.json.decode(text.encode(), type=_WirePlatform)
    except (msgspec.DecodeError, RecursionError):
        raise InvalidArgument(f"failed to parse platform: {text}") from None
    if not wanted.os or not wanted.architecture:
        raise InvalidArgument("invalid platform: both OS and Architecture must be provided")
    name = "/".join(part for part in (wanted.os, wanted.architecture, wanted.variant) if part)
    platforms.Platform.parse(name)
    return name


def summary(image: Image, containers: int, version: Version) -> dict[str, Any]:
    """Return one row of `GET /images/json`."""
    document = {
        "Containers": containers if version >= (1, 51) else -1,
        "Created": image.created // times.SECOND,
        "Id": image.id,
        "Labels": image.config.labels or None,
        "ParentId": image.parent,
        "RepoDigests": list(image.repo_digests),
        "RepoTags": list(image.names),
        "SharedSize": -1,
        "Size": image.size,
    }
    if version < (1, 43) and not image.names:
        document["RepoTags"] = ["<none>:<none>"]
        if not image.repo_digests:
            document["RepoDigests"] = ["<none>@<none>"]
    if version < (1, 44):
        document["VirtualSize"] = image.size
    return document


def document(image: Image, version: Version) -> dict[str, Any]:
    """Return the answer of `GET /images/{name}/json`."""
    config = image.config
    answer: dict[str, Any] = {
        "Id": image.id,
        "RepoTags": list(image.names),
        "RepoDigests": list(image.repo_digests),
        "Parent": image.parent,
        "Comment": str(config.document.get("comment") or ""),
        "Created": times.format_time(image.created),
        "DockerVersion": str(config.document.get("docker_version") or ""),
        "Author": config.author,
        "Config": _config(config.config, version),
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": image.size,
        "GraphDriver": {"Data": {}, "Name": "overlay2"},
        "RootFS": {"Type": "layers", "Layers": config.diff_ids},
        "Metadata": {"LastTagTime": times.format_time(image.tagged_at)},
    }
    if config.variant:
        answer["Variant"] = config.variant
    if version < (1, 44):
        answer["VirtualSize"] = image.size
    if version < (1, 45):
        answer["Container"] = str(config.document.get("container") or "")
        answer["ContainerConfig"] = config.document.get("container_config") or _config({}, version)
    return answer


def _config(config: dict[str, Any], version: Version) -> dict[str, Any]:
    """Return an image's Config: since 1.50 what is set, before that every field of a container's."""
    given = {key: value for key, value in config.items() if value not in (None, "", [], {}, False)}
    if version >= (1, 50):
        return given
    empty: dict[str, Any] = msgspec.to_builtins(Config())
    return {**empty, "Labels": None, **given}


def history_item(item: HistoryItem) -> dict[str, Any]:
    return {
        "Comment": item.comment,
        "Created": item.created,
        "CreatedBy": item.created_by,
        "Id": item.id,
        "Size": item.size,
        "Tags": list(item.tags) or None,
    }
