"""`proa info`: the engine's configuration and the machine."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.commands.version import client_version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from proa.cli.command import Invocation

_FLAGS = (("format", "f", "string", "How to show it ('json' or a Go template)"),)


def _words(field: str) -> Callable[[dict[str, Any]], Any]:
    return lambda info: " ".join(sorted(info.get(field) or []))


def _memory(info: dict[str, Any]) -> str:
    from proa.cli.formatting.units import binary_size

    return binary_size(info.get("MemTotal", 0))


# Title, and the field of the answer or how the text is made; empty texts are left out. Two spaces: a detail.
_ROWS: tuple[tuple[str, str | Callable[[dict[str, Any]], Any]], ...] = (
    ("Containers", "Containers"),
    (" Running", "ContainersRunning"),
    (" Paused", "ContainersPaused"),
    (" Stopped", "ContainersStopped"),
    ("Images", "Images"),
    ("Server Version", "ServerVersion"),
    ("Storage Driver", "Driver"),
    ("DriverStatus", lambda info: [tuple(pair) for pair in info.get("DriverStatus") or []]),
    ("Logging Driver", "LoggingDriver"),
    ("Cgroup Driver", "CgroupDriver"),
    ("Cgroup Version", "CgroupVersion"),
    ("Plugins", lambda info: [
        (kind, " ".join(names)) for kind in ("Volume", "Network", "Log")
        if (names := (info.get("Plugins") or {}).get(kind))
    ]),
    ("Swarm", lambda info: (info.get("Swarm") or {}).get("LocalNodeState", "")),
    ("Runtimes", _words("Runtimes")),
    ("Default Runtime", "DefaultRuntime"),
    ("Init Binary", "InitBinary"),
    ("Security Options", lambda info: [_security(text) for text in info.get("SecurityOptions") or []]),
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
    ("Total Memory", _memory),
    ("Name", "Name"),
    ("ID", "ID"),
    ("Docker Root Dir", "DockerRootDir"),
    ("Debug Mode", "Debug"),
    ("Experimental", "ExperimentalBuild"),
    ("Insecure Registries", lambda info: [
        (network, None) for network in (info.get("RegistryConfig") or {}).get("InsecureRegistryCIDRs") or []
    ]),
    ("Registry Mirrors", lambda info: [
        (mirror, None) for mirror in (info.get("RegistryConfig") or {}).get("Mirrors") or []
    ]),
    ("Live Restore Enabled", "LiveRestoreEnabled"),
)  # fmt: skip


def _security(text: str) -> tuple[str, Any]:
    """Return "seccomp" and its details of "name=seccomp,profile=builtin"."""
    fields = [field.partition("=") for field in text.split(",")]
    details = "".join(f"\n   {name.capitalize()}: {value}" for name, _, value in fields[1:])
    return (fields[0][2] or fields[0][0]) + details, None


def _lines(info: dict[str, Any]) -> list[str]:
    lines = []
    for title, source in _ROWS:
        value = info.get(source, "") if isinstance(source, str) else source(info)
        if isinstance(value, list):
            if title != "DriverStatus" and value:
                lines.append(f" {title}:")
            lines += [f"  {name}" if detail is None else f"  {name}: {detail}" for name, detail in value]
        elif value != "" and value is not None:
            lines.append(f" {title}: {str(value).lower() if isinstance(value, bool) else value}")
    return lines


def _run(invocation: Invocation) -> None:
    form = invocation["format"]
    show = None
    if form:
        from proa.templates.template import Template

        show = Template("{{json .}}" if form == "json" else form)
    info = invocation.client.get("/info")
    client = client_version(invocation.context)
    if show:
        invocation.print(show.render({**info, "ClientInfo": {"Debug": False, **client}}))
        return
    debug = str(invocation.globals["debug"]).lower()
    invocation.print(
        "Client:", f" Version:    {client['Version']}", f" Context:    {client['Context']}",
        f" Debug Mode: {debug}", "", "Server:", *_lines(info), "",
    )  # fmt: skip
    for warning in info.get("Warnings") or []:
        invocation.warn(warning)


COMMAND = Command(_run, "[OPTIONS]", flags=_FLAGS)
