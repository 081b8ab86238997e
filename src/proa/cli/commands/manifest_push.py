"""`proa manifest push`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("insecure", "", "", "Let the registry do without a known certificate, or without TLS"),
    ("purge", "p", "", "Remove the list from this machine when it is pushed"),
)


def _run(invocation: Invocation) -> None:
    import base64

    from proa.cli import manifests
    from proa.client.wire import decode
    from proa.oci.reference import Reference

    target, drafts = Reference.parse(invocation.arguments[0]), manifests.Drafts()
    if target not in drafts:
        raise manifests.missing(target)
    entries = drafts.entries(target)
    for entry in entries:
        platform = manifests.platform(entry["Descriptor"])
        if not platform["os"] or not platform["architecture"]:
            raise Failure(f"manifest {entry['Ref']} must have an OS and Architecture to be pushed to a registry")
        domain = Reference.parse(entry["Ref"]).domain
        if domain != target.domain:
            raise Failure(
                "cannot use source images from a different registry than the target image: "
                f"{domain} != {target.domain}"
            )
    whole = manifests.joined([entry["Descriptor"] for entry in entries])
    body = {
        "Raw": base64.b64encode(whole.encode()).decode(),
        "Manifests": [
            {"Ref": entry["Ref"], "Raw": entry["Raw"], "MediaType": entry["Descriptor"]["mediaType"]}
            for entry in entries
        ],
    }
    parameters = {"insecure": "1"} if invocation["insecure"] else {}
    client, headers = invocation.client, manifests.registry_headers(target)
    path = f"/proa/manifests/{target}"
    done = decode(client.read(client.request("POST", path, parameters, body, headers=headers)))
    for digest in done["Pushed"]:
        invocation.print(f"Pushed ref {target.name}@{digest} with digest: {digest}")
    invocation.print(done["Digest"])
    if invocation["purge"]:
        drafts.remove(target)


COMMAND = Command(_run, "[OPTIONS] MANIFEST_LIST", flags=_FLAGS, least=1, most=1)
