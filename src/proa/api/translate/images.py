"""Image records as list, inspect and history show them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from proa import times
from proa.api.translate import gates
from proa.api.types.containers import Config
from proa.api.versions import Version
from proa.engine.images.history import HistoryItem
from proa.engine.images.image import Image
from proa.errors import InvalidArgument
from proa.oci import platform as platforms
from proa.snapshots.layers import name_of


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


def one_platform(texts: list[str]) -> str:
    """Read a `platform` parameter that may be given once, as `platform` does."""
    if len(texts) > 1:
        raise InvalidArgument("multiple platform parameters are not supported")
    return platform(texts[0]) if texts else ""


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
        "VirtualSize": image.size,
    }
    if version < (1, 43) and not image.names:
        document["RepoTags"] = ["<none>:<none>"]
        if not image.repo_digests:
            document["RepoDigests"] = ["<none>@<none>"]
    return gates.fit("image", document, version)


def document(image: Image, layers: Path, version: Version) -> dict[str, Any]:
    """Return the answer of `GET /images/{name}/json`. `layers`: where unpacked layers are."""
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
        "Config": _config(config.config),
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": image.size,
        "VirtualSize": image.size,
        "GraphDriver": {"Data": _directories(image, layers), "Name": "overlay2"},
        "RootFS": {"Type": "layers", "Layers": config.diff_ids},
        "Metadata": {"LastTagTime": times.format_time(image.tagged_at)},
    }
    if config.variant:
        answer["Variant"] = config.variant
    if container := config.document.get("container"):
        answer["Container"] = str(container)
    answer["ContainerConfig"] = config.document.get("container_config") or {**_EMPTY, "Labels": None}
    return gates.fit("image inspect", answer, version)


_EMPTY: dict[str, Any] = msgspec.to_builtins(Config())


def _config(config: dict[str, Any]) -> dict[str, Any]:
    """Return an image's Config: every field that Docker shows, though it is not set."""
    given = {key: value for key, value in config.items() if value not in (None, "", [], {}, False)}
    return {**_EMPTY, "Labels": None, **given}


def _directories(image: Image, layers: Path) -> dict[str, str]:
    """Return where the layers are unpacked, as overlayfs takes them: the top one first."""
    top, *lower = [str(layers / name_of(chain_id)) for chain_id in reversed(image.layers)] or [""]
    return {**({"LowerDir": ":".join(lower)} if lower else {}), **({"UpperDir": top} if top else {})}


def history_item(item: HistoryItem) -> dict[str, Any]:
    return {
        "Comment": item.comment,
        "Created": item.created,
        "CreatedBy": item.created_by,
        "Id": item.id,
        "Size": item.size,
        "Tags": list(item.tags) or None,
    }
