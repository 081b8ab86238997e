"""`proa version`: the client's and the engine's."""

from __future__ import annotations

import os
import sys

from proa.cli.command import Command
from proa.cli.inspection import renderer
from proa.errors import InvalidArgument, ProaError
from proa.templates.lexer import TemplateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

API_VERSION = "1.50"
_FLAGS = (("format", "f", "string", "How to show them ('json' or a Go template)"),)
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def client_version(context: str) -> dict[str, str]:
    """Return what there is to say about this program."""
    from proa import __version__

    machine = os.uname().machine
    return {
        "Version": __version__,
        "ApiVersion": API_VERSION,
        "DefaultAPIVersion": API_VERSION,
        "PythonVersion": sys.version.partition(" ")[0],
        "Os": "linux",
        "Arch": _MACHINES.get(machine, machine),
        "Context": context,
    }


def _run(invocation: Invocation) -> None:
    show = renderer(invocation["format"])
    versions: dict[str, Any] = {"Client": client_version(invocation.context)}
    failure: ProaError | None = None
    try:
        versions["Server"] = _dated(invocation.client.get("/version"))
    except ProaError as error:
        failure = error
        versions["Server"] = None
    try:
        invocation.print(show(versions) if show else "\n".join(_text(versions)))
    except TemplateError:
        if failure is None:
            raise
        invocation.print("")  # it asks for what the engine did not say
    if failure:
        raise failure


def _dated(server: dict[str, Any]) -> dict[str, Any]:
    """Write when components were built as docker does, "Fri May 30 12:07:27 2025"."""
    import time

    from proa.times import SECOND, parse_time

    for component in server.get("Components") or ():
        details = component.get("Details") or {}
        try:
            built = time.gmtime(parse_time(details.get("BuildTime", "")) // SECOND)
        except InvalidArgument:
            continue  # in whatever form it is
        details["BuildTime"] = time.strftime("%a %b %e %H:%M:%S %Y", built)
    return server


def _text(versions: dict[str, Any]) -> list[str]:
    client, server = versions["Client"], versions["Server"]
    lines = [
        "Client:",
        *_aligned(1, 18, (
            ("Version:", client["Version"]),
            ("API version:", client["ApiVersion"]),
            ("Python version:", client["PythonVersion"]),
            ("OS/Arch:", f"{client['Os']}/{client['Arch']}"),
            ("Context:", client["Context"]),
        )),
    ]  # fmt: skip
    if server:
        name = (server.get("Platform") or {}).get("Name", "")
        lines += ["", f"Server: {name}".rstrip(), *_components(server)]
    return lines


def _components(server: dict[str, Any]) -> list[str]:
    components = server.get("Components") or [{"Name": "Engine", "Version": server["Version"], "Details": server}]
    lines = []
    for component in components:
        details = component.get("Details") or {}
        lines.append(f" {component['Name']}:")
        rows = [("Version:", component["Version"])]
        if component["Name"] == "Engine":
            rows += [
                ("API version:", f"{details.get('ApiVersion')} (minimum version {details.get('MinAPIVersion')})"),
                ("Go version:", details.get("GoVersion", "")),
                ("Python version:", details.get("PythonVersion", "")),
                ("Git commit:", details.get("GitCommit", "")),
                ("Built:", details.get("BuildTime", "")),
                ("OS/Arch:", f"{details.get('Os')}/{details.get('Arch')}"),
                ("Experimental:", str(details.get("Experimental", False)).lower()),
            ]
        else:
            rows += [(f"{key}:", value) for key, value in sorted(details.items())]
        lines += _aligned(2, 17, [row for row in rows if row[1]])
    return lines


def _aligned(indent: int, width: int, rows: Any) -> list[str]:
    return [f"{' ' * indent}{title:<{width}} {value}" for title, value in rows]


COMMAND = Command(_run, "[OPTIONS]", flags=_FLAGS)
