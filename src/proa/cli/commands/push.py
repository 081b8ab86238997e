"""`proa push`."""

from __future__ import annotations

import sys

from proa.cli.command import Command
from proa.cli.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("all-tags", "a", "", "Push all tags of the repository"),
    ("disable-content-trust", "", "", "Do not sign images", "", True),
    ("platform", "", "string", "Push the image for this platform (os/architecture/variant)"),
    ("quiet", "q", "", "Print the image's name only"),
)


def _run(invocation: Invocation) -> None:
    from proa.cli.formatting.progress import show
    from proa.client.credentials import registry_auth
    from proa.oci.reference import Reference

    quiet = invocation["quiet"]
    reference = Reference.parse(invocation.arguments[0], default_tag=None)
    if invocation["all-tags"]:
        if reference.tag or reference.digest:
            raise Failure("tag can't be used with --all-tags/-a")
    elif not reference.tag and not reference.digest:
        reference = Reference.parse(invocation.arguments[0])
        if not quiet:
            invocation.print(f"Using default tag: {reference.tag}")
    if reference.digest:
        raise Failure("cannot push a digest reference")
    parameters = {"tag": reference.tag or ""}
    if invocation["platform"]:
        from proa.cli.platforms import parameter

        parameters["platform"] = parameter(invocation["platform"])
    headers = {"X-Registry-Auth": registry_auth(reference.domain) or "e30="}
    path = f"/images/{reference.familiar_name}/push"
    messages = invocation.client.stream("POST", path, parameters, headers=headers)
    if quiet:
        for _ in messages:
            pass
        invocation.print(str(reference))
        return
    invocation.flush()
    show(messages, sys.stdout)


COMMAND = Command(_run, "[OPTIONS] NAME[:TAG]", flags=_FLAGS, least=1, most=1)
