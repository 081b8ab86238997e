"""`proa rmi`: take a name off an image, and remove the image with its last name."""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.client.errors import DaemonError
from proa.errors import ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("force", "f", "", "Remove an image that has several names or ended containers"),
    ("no-prune", "", "", "Keep the images that it was made of"),
    ("platform", "", "strings", "Remove these platforms of an image only (os/architecture/variant)"),
)
_NOT_FOUND = 404


def _run(invocation: Invocation) -> int:
    flags = (("force", "force"), ("no-prune", "noprune"))
    parameters: dict[str, str | list[str]] = {parameter: "1" for flag, parameter in flags if invocation[flag]}
    if invocation["platform"]:
        from proa.cli.platforms import encoded

        parameters["platforms"] = [encoded(platform) for platform in invocation["platform"]]
    errors: list[ProaError] = []
    for name in invocation.arguments:
        try:
            removed = invocation.client.delete(f"/images/{name}", **parameters)
        except ProaError as error:
            errors.append(error)
            continue
        for entry in removed or []:
            invocation.print(*(f"{what}: {entry[what]}" for what in ("Deleted", "Untagged") if entry.get(what)))
    for failure in errors:
        invocation.warn(str(failure))
    missing = [one for one in errors if isinstance(one, DaemonError) and one.status == _NOT_FOUND]
    return int(bool(errors) and not (invocation["force"] and len(missing) == len(errors)))


COMMAND = Command(_run, "[OPTIONS] IMAGE [IMAGE...]", flags=_FLAGS, least=1, most=ANY)
