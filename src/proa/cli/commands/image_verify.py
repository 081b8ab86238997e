"""`proa image verify`: is what the disk holds of images what their digests say?"""

from __future__ import annotations

from proa.cli.command import ANY, Command
from proa.cli.errors import Failure
from proa.ids import short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from proa.cli.command import Invocation

_FLAGS = (
    ("all", "a", "", "Verify all images"),
    ("format", "", "string", "How to show what is found ('text' or 'json')"),
    ("repair", "", "", "Unpack damaged layers again, and fetch damaged blobs of layers again"),
)


def _results(invocation: Invocation) -> Iterator[dict[str, Any]]:
    parameters: dict[str, str | list[str]] = {}
    if invocation["repair"]:
        parameters["repair"] = "1"
    if invocation["all"]:
        yield from invocation.client.stream("POST", "/proa/images/verify", {**parameters, "all": "1"})
        return
    if not invocation["repair"]:
        parameters["image"] = invocation.arguments
        yield from invocation.client.stream("POST", "/proa/images/verify", parameters)
        return
    for name in invocation.arguments:  # each may come from a registry of its own
        from proa.client.credentials import registry_auth
        from proa.oci.reference import Reference

        headers = {"X-Registry-Auth": registry_auth(Reference.parse(name).domain) or "e30="}
        one = {**parameters, "image": name}
        yield from invocation.client.stream("POST", "/proa/images/verify", one, headers=headers)


def _lines(result: dict[str, Any]) -> list[str]:
    problems = result["Problems"]
    left = [problem for problem in problems if not problem["repaired"]]
    state = "damaged" if left else "repaired" if problems else "ok"
    name = ", ".join(result["RepoTags"] or ()) or short(result["Id"])
    lines = [f"{name}: {state}, {result['Checked']} blobs and layers"]
    for problem in problems:
        text = f"  {problem['kind']} {problem['digest']}: {problem['text']}"
        lines.append(text + (" (repaired)" if problem["repaired"] else ""))
    return lines


def _run(invocation: Invocation) -> int:
    if bool(invocation.arguments) == invocation["all"]:
        raise Failure("name the images to verify, or say --all")
    form = invocation["format"] or "text"
    if form not in ("text", "json"):
        raise Failure(f"invalid format: {form}: it is 'text' or 'json'")
    damaged = False
    for result in _results(invocation):
        damaged |= any(not problem["repaired"] for problem in result["Problems"])
        if form == "json":
            import json

            invocation.print(json.dumps(result))
        else:
            invocation.print(*_lines(result))
        invocation.flush()
    return int(damaged)


COMMAND = Command(_run, "[OPTIONS] [IMAGE...]", flags=_FLAGS, least=0, most=ANY)
