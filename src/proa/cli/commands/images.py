"""`proa images`: one line for each name of each image."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.formatting.listing import Listing
from proa.cli.formatting.moments import ago, local
from proa.cli.formatting.units import bytes_size, image_size
from proa.cli.options.filters import FLAG, parameter
from proa.ids import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

_FLAGS = (
    ("all", "a", "", "Show images that only other images use, too"),
    ("digests", "", "", "Show digests"),
    FLAG,
    ("format", "", "string", "How to show them ('table', 'table TEMPLATE', 'json' or a Go template)"),
    ("no-trunc", "", "", "Do not cut anything off"),
    ("quiet", "q", "", "Show IDs only"),
)
_REFUSED = (("tree", "", "", "Proa keeps one platform of an image, there is no tree of them"),)
_NONE = "<none>"
_NOT_COUNTED = "N/A"  # the engine says -1 where counting would take long
_COLUMNS = ("Repository", "Tag", "ID", "CreatedSince", "Size")
_DIGEST_COLUMNS = ("Repository", "Tag", "Digest", "ID", "CreatedSince", "Size")


class Row:
    """One name of one image."""

    def __init__(self, image: dict[str, Any], repository: str, tag: str, digest: str) -> None:
        self.image = image
        self.repository = repository
        self.tag = tag
        self.digest = digest


def rows(images: list[dict[str, Any]], digests: bool, only_digests: bool) -> list[Row]:
    """Return a row for each name; with `digests`, one for each digest of the name's repository.

    Images that have digests and no tag get one row for all of them unless `only_digests`.
    """
    found = []
    for image in images:
        tags = [tag.rpartition(":") for tag in image.get("RepoTags") or [] if tag != "<none>:<none>"]
        by_repository: dict[str, list[str]] = {}
        for text in image.get("RepoDigests") or []:
            repository, _, digest = text.partition("@")
            if repository != _NONE:
                by_repository.setdefault(repository, []).append(digest)
        for repository, _, tag in tags:
            known = by_repository.get(repository, []) if digests else []
            found += [Row(image, repository, tag, digest) for digest in known or [_NONE]]
        tagged = {repository for repository, _, _ in tags}
        for repository, known in by_repository.items():
            if repository not in tagged:
                found += [Row(image, repository, _NONE, digest) for digest in (known if only_digests else [""])]
        if not tags and not by_repository:
            found.append(Row(image, _NONE, _NONE, _NONE))
    return found


def listing(truncate: bool) -> Listing:
    return Listing(
        "*formatter.imageContext",
        {
            "ID": ("IMAGE ID", lambda row: identifier(row, truncate)),
            "Repository": ("REPOSITORY", lambda row: row.repository),
            "Tag": ("TAG", lambda row: row.tag),
            "Digest": ("DIGEST", lambda row: row.digest),
            "CreatedSince": ("CREATED", lambda row: ago(row.image["Created"])),
            "CreatedAt": ("CREATED AT", lambda row: local(row.image["Created"])),
            "Size": ("SIZE", lambda row: image_size(row.image["Size"])),
            "Containers": ("CONTAINERS", lambda row: _count(row.image.get("Containers", 0))),
            "VirtualSize": ("SIZE", lambda row: bytes_size(row.image["Size"])),
            "SharedSize": ("SHARED SIZE", lambda row: _optional_size(row.image.get("SharedSize", 0))),
            "UniqueSize": ("UNIQUE SIZE", _unique_size),
        },
        _COLUMNS,
        raw=(
            ("repository", "Repository"), ("tag", "Tag"), ("digest", "Digest"), ("image_id", "ID"),
            ("created_at", "CreatedAt"), ("virtual_size", "Size"),
        ),
    )  # fmt: skip


def identifier(row: Row, truncate: bool) -> str:
    return short(row.image["Id"]) if truncate else str(row.image["Id"])


def _count(number: int) -> str:
    return _NOT_COUNTED if number < 0 else str(number)


def _optional_size(size: int) -> str:
    return _NOT_COUNTED if size < 0 else bytes_size(size)


def _unique_size(row: Row) -> str:
    shared = row.image.get("SharedSize", 0)
    return _NOT_COUNTED if shared < 0 else bytes_size(row.image["Size"] - shared)


def _run(invocation: Invocation) -> None:
    conditions = list(invocation["filter"])
    if invocation.arguments:
        conditions.append(("reference", invocation.arguments[0]))
    parameters = parameter(conditions)
    if invocation["all"]:
        parameters["all"] = "1"
    form = invocation["format"] or ("" if invocation["quiet"] else invocation.config.get("imagesFormat", ""))
    with_digests = invocation["digests"] or "{{.Digest}}" in form
    images = invocation.client.get("/images/json", **parameters)
    found = rows(images, with_digests, invocation["digests"])
    truncate = not invocation["no-trunc"]
    if invocation["quiet"] and not form:
        invocation.print(*(identifier(row, truncate) for row in found))
        return
    columns = _DIGEST_COLUMNS if invocation["digests"] else _COLUMNS
    if invocation["quiet"] and form == "raw":
        invocation.print(*(f"image_id: {identifier(row, truncate)}" for row in found))
        return
    invocation.print(*listing(truncate).lines(found, form, columns))


COMMAND = Command(_run, "[OPTIONS] [REPOSITORY[:TAG]]", flags=_FLAGS, most=1, refused=_REFUSED)
