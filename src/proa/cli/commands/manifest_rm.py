"""`proa manifest rm`."""

from __future__ import annotations

from proa.cli.command import ANY, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation


def _run(invocation: Invocation) -> int:
    from proa.cli import manifests
    from proa.cli.errors import Failure
    from proa.oci.reference import Reference

    failed, drafts = False, manifests.Drafts()
    for reference in [Reference.parse(name) for name in invocation.arguments]:
        try:
            drafts.remove(reference)
        except Failure as error:
            invocation.warn(str(error))
            failed = True
    return int(failed)


COMMAND = Command(_run, "MANIFEST_LIST [MANIFEST_LIST...]", least=1, most=ANY)
