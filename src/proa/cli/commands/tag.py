"""`proa tag`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    from proa.cli.errors import Failure
    from proa.errors import InvalidArgument
    from proa.oci.reference import Reference

    source, target = invocation.arguments
    try:
        reference = Reference.parse(target)
    except InvalidArgument as error:
        raise Failure(f'Error parsing reference: "{target}" is not a valid repository/tag: {error}') from None
    if reference.digest:
        raise Failure("refusing to create a tag with a digest reference")
    tag = reference.tag or "latest"
    invocation.client.post(f"/images/{quote(source)}/tag", None, repo=reference.familiar_name, tag=tag)


COMMAND = Command(_run, "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", least=2, most=2)
