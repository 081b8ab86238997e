"""`proa manifest annotate`."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("arch", "", "string", "Architecture, as Go calls it"),
    ("os", "", "string", "Operating system, as Go calls it"),
    ("os-features", "", "strings", "Features of the operating system that are needed"),
    ("os-version", "", "string", "Version of the operating system"),
    ("variant", "", "string", "Variant of the architecture"),
)
# Docker's pairs.
_KNOWN = {
    "darwin": ("386", "amd64", "arm", "arm64"),
    "dragonfly": ("amd64",),
    "freebsd": ("386", "amd64", "arm"),
    "linux": ("386", "amd64", "arm", "arm64", "mips64", "mips64le", "ppc64le", "riscv64", "s390x"),
    "netbsd": ("386", "amd64", "arm"),
    "openbsd": ("386", "amd64", "arm"),
    "plan9": ("386", "amd64"),
    "solaris": ("amd64",),
    "windows": ("386", "amd64"),
}


def _run(invocation: Invocation) -> None:
    from proa.cli import manifests
    from proa.oci.reference import Reference

    target, reference = map(Reference.parse, invocation.arguments)
    drafts = manifests.Drafts()
    entry = drafts.get(target, reference)
    if entry is None:
        raise Failure(f"manifest for image {reference} does not exist in {target}")
    platform = manifests.platform(entry["Descriptor"])
    for flag, name in (
        ("arch", "architecture"), ("os", "os"), ("os-version", "os.version"), ("variant", "variant"),
    ):  # fmt: skip
        if invocation[flag]:
            platform[name] = invocation[flag]
    if invocation["os-features"]:
        known = platform.get("os.features", [])
        platform["os.features"] = [*known, *(each for each in invocation["os-features"] if each not in known)]
    if platform["architecture"] not in _KNOWN.get(platform["os"], ()):
        pair = f"{invocation['os']}/{invocation['arch']}"  # what was asked for, as docker says it
        raise Failure(f"manifest entry for image has unsupported os/arch combination: {pair}")
    entry["Descriptor"]["platform"] = manifests.platform({"platform": platform})
    drafts.put(target, reference, entry)


COMMAND = Command(_run, "[OPTIONS] MANIFEST_LIST MANIFEST", flags=_FLAGS, least=2, most=2)
