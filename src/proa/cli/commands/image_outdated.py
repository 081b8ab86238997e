"""`proa image outdated`: whether registries have other images under the tags than this machine. Nothing is pulled;
each tag costs one HEAD request, which counts for no limit of pulls.

Exit codes: 0 when nothing is newer, 10 when something is, 1 when a registry could not tell.
"""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.cli.formatting.listing import Listing
from proa.ids import SHORT_LENGTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from proa.cli.command import Invocation
    from proa.oci.reference import Reference

NEWER = 10
_FLAGS = (
    ("all", "a", "", "Show those that are up to date as well"),
    ("format", "", "string", "How to show them ('table', 'table TEMPLATE', 'json' or a Go template)"),
    ("no-trunc", "", "", "Do not cut anything off"),
)


def _listing(truncate: bool) -> Listing:
    def shown(digest: str) -> str:
        return digest.removeprefix("sha256:")[:SHORT_LENGTH] if truncate else digest

    return Listing(
        "*formatter.outdatedContext",
        {
            "Image": ("IMAGE", lambda one: one["Image"]),
            "Current": ("CURRENT", lambda one: shown(one["Current"])),
            "Newest": ("NEWEST", lambda one: shown(one["Newest"])),
            "Status": ("STATUS", lambda one: one["Status"]),
        },
        ("Image", "Current", "Newest", "Status"),
    )


def _run(invocation: Invocation) -> int:
    from proa.cli.manifests import registry_headers
    from proa.client.wire import decode
    from proa.errors import ProaError

    client, rows, failed = invocation.client, [], False
    for reference, digests in _tags(invocation):
        headers = registry_headers(reference)
        try:
            response = client.request("GET", f"/proa/digests/{reference}", {}, headers=headers)
            newest = decode(client.read(response))["Digest"]
        except ProaError as error:
            invocation.warn(f"{reference.familiar}: {error}")
            failed = True
            continue
        current = newest if newest in digests else digests[0]
        status = "up to date" if newest in digests else "outdated"
        rows.append({
            "Image": reference.familiar, "Current": current, "Newest": newest, "Status": status,
        })  # fmt: skip
    newer = [row for row in rows if row["Status"] == "outdated"]
    form = invocation["format"]
    invocation.print(*_listing(not invocation["no-trunc"]).lines(rows if invocation["all"] else newer, form))
    return 1 if failed else NEWER if newer else 0


def _tags(invocation: Invocation) -> Iterator[tuple[Reference, list[str]]]:
    """Yield the tags to ask for, each with the digests that its registry gave the image."""
    from proa.cli.errors import Failure
    from proa.oci.reference import Reference

    images = invocation.client.get("/images/json")
    known: dict[str, tuple[Reference, Any]] = {}
    for image in images:
        for name in image["RepoTags"] or []:
            reference = Reference.parse(name)
            known[str(reference)] = reference, image
    chosen = [Reference.parse(name) for name in invocation.arguments] or [
        reference for reference, _ in sorted(known.values(), key=lambda pair: str(pair[0]))
    ]
    for reference in chosen:
        if str(reference) not in known:
            raise Failure(f"no image has the tag {reference.familiar}")
        names = [Reference.parse(name) for name in known[str(reference)][1]["RepoDigests"] or []]
        digests = [each.digest for each in names if each.name == reference.name and each.digest]
        if digests:
            yield reference, digests
        elif invocation.arguments:
            raise Failure(f"{reference.familiar} came from no registry, and was pushed to none")


COMMAND = Command(_run, "[OPTIONS] [IMAGE...]", flags=_FLAGS, most=ANY)
