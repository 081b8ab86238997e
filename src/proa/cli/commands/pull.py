"""`proa pull`."""

from __future__ import annotations

import os
import sys

from proa.cli.command import Command
from proa.cli.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("all-tags", "a", "", "Fetch all tags of the repository"),
    ("disable-content-trust", "", "", "Do not check images' signatures", "", True),
    ("platform", "", "string", "Fetch for this platform (os/architecture/variant)"),
    ("quiet", "q", "", "Print the image's name only"),
)


def _run(invocation: Invocation) -> None:
    from proa.cli.images import pull
    from proa.oci.reference import Reference

    all_tags, quiet = invocation["all-tags"], invocation["quiet"]
    reference = Reference.parse(invocation.arguments[0], default_tag=None)
    if all_tags and (reference.tag or reference.digest):
        raise Failure("tag can't be used with --all-tags/-a")
    if not all_tags and not reference.tag and not reference.digest:
        reference = Reference.parse(invocation.arguments[0])
        if not quiet:
            invocation.print(f"Using default tag: {reference.tag}")
    platform = invocation["platform"] or os.environ.get("DOCKER_DEFAULT_PLATFORM", "")
    pull(invocation.client, reference, platform, None if quiet else sys.stdout, all_tags)
    invocation.print(str(reference))


COMMAND = Command(_run, "[OPTIONS] NAME[:TAG|@DIGEST]", flags=_FLAGS, least=1, most=1)
