"""`proa manifest create`."""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.cli.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("amend", "a", "", "Add to a list that is there already"),
    ("insecure", "", "", "Let the registry do without a known certificate, or without TLS"),
)


def _run(invocation: Invocation) -> None:
    from proa.cli import manifests
    from proa.oci.reference import Reference

    target, *references = map(Reference.parse, invocation.arguments)
    drafts = manifests.Drafts()
    if target in drafts and not invocation["amend"]:
        raise Failure("refusing to amend an existing manifest list with no --amend flag")
    found = []
    for reference in references:
        entry = drafts.get(target, reference) or manifests.fetch(invocation, reference, invocation["insecure"])
        if manifests.is_list(entry):
            raise Failure(f"{reference} is a manifest list")
        found.append((reference, entry))
    for reference, entry in found:
        drafts.put(target, reference, entry)
    invocation.print(f"Created manifest list {target}")


COMMAND = Command(_run, "MANIFEST_LIST MANIFEST [MANIFEST...]", flags=_FLAGS, least=2, most=ANY)
