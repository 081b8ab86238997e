"""`proa commit`: an image of what has changed in a container."""

from __future__ import annotations

from proa.cli.command import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("author", "a", "string", 'Who made this ("Jane Doe <jane@example.com>")'),
    ("change", "c", "list", "Apply a Dockerfile instruction to the image"),
    ("message", "m", "string", "What this is"),
    ("pause", "p", "", "Freeze the container meanwhile", "", True),
)


def repository_and_tag(name: str) -> dict[str, str]:
    """Return the parameters that name a new image. Raises `InvalidArgument`."""
    if not name:
        return {}
    from proa.cli.errors import Failure
    from proa.oci.reference import Reference

    reference = Reference.parse(name)
    if reference.digest:
        raise Failure("cannot commit to digest reference")
    return {"repo": reference.familiar_name, "tag": reference.tag or "latest"}


def _run(invocation: Invocation) -> None:
    container, *names = invocation.arguments
    parameters = {"container": container, **repository_and_tag(names[0] if names else "")}
    if invocation["author"]:
        parameters["author"] = invocation["author"]
    if invocation["message"]:
        parameters["comment"] = invocation["message"]
    if not invocation["pause"]:
        parameters["pause"] = "0"
    if invocation["change"]:
        parameters["changes"] = "\n".join(invocation["change"])
    invocation.print(invocation.client.post("/commit", None, **parameters)["Id"])


COMMAND = Command(_run, "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]", flags=_FLAGS, least=1, most=2)
