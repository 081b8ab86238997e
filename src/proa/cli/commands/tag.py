"""`proa tag`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.errors import Failure
from proa.cli.images import check_name
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> None:
    from proa.oci.reference import Reference

    source, target = invocation.arguments
    for name, check in ((source, check_name), (target, Reference.parse)):
        try:
            check(name)
        except InvalidArgument as error:
            raise Failure(f'Error parsing reference: "{name}" is not a valid repository/tag: {error}') from None
    reference = Reference.parse(target)
    if reference.digest:
        raise Failure("refusing to create a tag with a digest reference")
    tag = reference.tag or "latest"
    invocation.client.post(f"/images/{source}/tag", None, repo=reference.familiar_name, tag=tag)


COMMAND = Command(_run, "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", least=2, most=2)
