"""`proa info`: the engine's configuration and the machine."""

from __future__ import annotations

from proa.cli.command import Command
from proa.cli.commands.version import client_version
from proa.cli.errors import Failure
from proa.cli.inspection import renderer
from proa.errors import ProaError

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


def _plain(field: str) -> Callable[[dict[str, Any]], Any]:
    return lambda info: [(text, None) for text in info.get(field) or []]


def _commit(field: str) -> Callable[[dict[str, Any]], Any]:
    return lambda info: (info.get(field) or {}).get("ID", "")


def _debugging(field: str) -> Callable[[dict[str, Any]], Any]:
    """What an engine that is debugged tells of itself."""
    return lambda info: info.get(field, "") if info.get("Debug") else ""


def _of_firewall(name: str) -> Callable[[dict[str, Any]], Any]:
    """What the engine tells of its firewall under a name."""
    return lambda info: dict((info.get("FirewallBackend") or {}).get("Info") or []).get(name, "")


def _insecure(info: dict[str, Any]) -> list[tuple[str, None]]:
    """Registries that need no certificate, then networks of such."""
    registries = info.get("RegistryConfig") or {}
    named = [name for name, one in (registries.get("IndexConfigs") or {}).items() if not one.get("Secure", True)]
    return [(name, None) for name in [*named, *(registries.get("InsecureRegistryCIDRs") or [])]]


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
        (kind, " ".join(names)) for kind in ("Volume", "Network", "Authorization", "Log")
        if (names := (info.get("Plugins") or {}).get(kind))
    ]),
    ("CDI spec directories", _plain("CDISpecDirs")),
    ("Discovered Devices", lambda info: [
        (device.get("Source"), device.get("ID")) for device in info.get("DiscoveredDevices") or []
    ]),
    ("Swarm", lambda info: (info.get("Swarm") or {}).get("LocalNodeState", "")),
    ("Runtimes", _words("Runtimes")),
    ("Default Runtime", "DefaultRuntime"),
    ("Init Binary", "InitBinary"),
    ("containerd version", _commit("ContainerdCommit")),
    ("runc version", _commit("RuncCommit")),
    ("init version", _commit("InitCommit")),
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
    (" File Descriptors", _debugging("NFd")),
    (" Goroutines", _debugging("NGoroutines")),
    (" System Time", _debugging("SystemTime")),
    (" EventsListeners", _debugging("NEventsListener")),
    ("HTTP Proxy", "HttpProxy"),
    ("HTTPS Proxy", "HttpsProxy"),
    ("No Proxy", "NoProxy"),
    ("Labels", _plain("Labels")),
    ("Experimental", "ExperimentalBuild"),
    ("Insecure Registries", _insecure),
    ("Registry Mirrors", lambda info: [
        (mirror, None) for mirror in (info.get("RegistryConfig") or {}).get("Mirrors") or []
    ]),
    ("Live Restore Enabled", "LiveRestoreEnabled"),
    ("Publish Policy", _of_firewall("PublishPolicy")),
    ("Product License", "ProductLicense"),
    ("Default Address Pools", lambda info: [
        (f" Base: {pool.get('Base')}, Size: {pool.get('Size')}", None)
        for pool in info.get("DefaultAddressPools") or []
    ]),
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
    show = renderer(invocation["format"])
    client = client_version(invocation.context)
    if show:
        info = invocation.client.get("/info")
        debug = {"Debug": invocation.globals["debug"]}
        invocation.print(show({**info, "ClientInfo": {**debug, **client, "Plugins": [], "Warnings": None}}))
        return
    invocation.print(
        "Client:", f" Version:    {client['Version']}", f" Context:    {client['Context']}",
        f" Debug Mode: {str(invocation.globals['debug']).lower()}", "", "Server:",
    )  # fmt: skip
    try:
        info = invocation.client.get("/info")
    except ProaError as error:
        raise Failure(f"ERROR: {error}\nerrors pretty printing info") from None
    invocation.print(*_lines(info), "")
    for warning in info.get("Warnings") or []:
        invocation.warn(warning)


COMMAND = Command(_run, "[OPTIONS]", flags=_FLAGS)
