"""`proa manifest inspect`."""

from __future__ import annotations

from proa.cli.command import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("insecure", "", "", "Let the registry do without a known certificate, or without TLS"),
    ("verbose", "v", "", "Show also the platforms and the manifests of a list"),
)


def _run(invocation: Invocation) -> None:
    from proa.cli import manifests
    from proa.oci.reference import Reference

    *lists, name = invocation.arguments
    reference, drafts = Reference.parse(name), manifests.Drafts()
    if lists:
        found = drafts.get(Reference.parse(lists[0]), reference)
        if found is None:
            raise manifests.missing(reference)
    elif reference in drafts:
        entries = drafts.entries(reference)
        if invocation["verbose"]:
            invocation.print(manifests.indented(entries))
        else:
            invocation.print(manifests.joined([entry["Descriptor"] for entry in entries]))
        return
    else:
        found = manifests.fetch(invocation, reference, invocation["insecure"])
    if not manifests.is_list(found):
        shown = found if invocation["verbose"] else manifests.document(found)
        invocation.print(manifests.indented(shown))
    elif invocation["verbose"]:
        invocation.print(manifests.indented(manifests.parts(invocation, found, invocation["insecure"])))
    else:
        descriptors = manifests.document(found).get("manifests") or []
        invocation.print(manifests.joined(descriptors, found["Descriptor"]["mediaType"]))


COMMAND = Command(_run, "[OPTIONS] [MANIFEST_LIST] MANIFEST", flags=_FLAGS, least=1, most=2)
