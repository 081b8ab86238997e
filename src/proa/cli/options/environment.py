"""name=value in all its forms: environment variables, labels, annotations, sysctls, and files of them."""

from __future__ import annotations

import os

from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from proa.cli.flags import Options

_SYSCTLS = (
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
    "kernel.shmmni", "kernel.shm_rmid_forced",
)  # fmt: skip
_SYSCTL_TREES = ("net.", "fs.mqueue.")
_BOM = "\ufeff"


def variable(text: str) -> str:
    """Return "name=value"; a name alone takes this process's value, and stays alone when there is none."""
    name, separator, _ = text.partition("=")
    if not name:
        raise ValueError(f"invalid environment variable: {text}")
    if not separator and name in os.environ:
        return f"{name}={os.environ[name]}"
    return text


def label(text: str) -> str:
    if not text.partition("=")[0]:
        raise ValueError(f"invalid label '{text}': empty name")
    return text


def sysctl(text: str) -> str:
    """Allow what belongs to a container's namespaces. Raises `ValueError`."""
    name, separator, _ = text.partition("=")
    if not separator or (name not in _SYSCTLS and not name.startswith(_SYSCTL_TREES)):
        raise ValueError(f"sysctl '{text}' is not allowed")
    return text


def mapping(pairs: Iterable[str]) -> dict[str, str]:
    """Return {name: value}; a name alone has the value ""."""
    return {name: value for name, _, value in (text.partition("=") for text in pairs)}


def variables(options: Options) -> list[str]:
    """Return the environment asked for by `--env-file` and `--env`, in that order."""
    read = [line for path in options["env-file"] for line in read_file(path, "env file", inherit=True)]
    return [*read, *options["env"]]


def environment_body(options: Options, body: dict[str, Any]) -> None:
    body["Env"] = variables(options)


def labels_body(options: Options, body: dict[str, Any]) -> None:
    lines = [line for path in options["label-file"] for line in read_file(path, "label file", inherit=False)]
    body["Labels"] = mapping([*lines, *options["label"]])


def annotations_body(options: Options, body: dict[str, Any]) -> None:
    annotations = mapping(options["annotation"])
    if options["ephemeral"]:
        annotations["org.proa.ephemeral"] = "true"
    if options["health-on-failure"]:
        annotations["org.proa.health-on-failure"] = options["health-on-failure"]
    if options["publish-policy"]:
        annotations["org.proa.publish-policy"] = options["publish-policy"]
    if options["egress"]:
        annotations["org.proa.egress"] = " ".join(options["egress"])
    body["HostConfig"]["Annotations"] = annotations


def sysctls_body(options: Options, body: dict[str, Any]) -> None:
    body["HostConfig"]["Sysctls"] = mapping(options["sysctl"])


def storage_body(options: Options, body: dict[str, Any]) -> None:
    if any("=" not in text for text in options["storage-opt"]):
        raise InvalidArgument("invalid storage option")
    body["HostConfig"]["StorageOpt"] = mapping(options["storage-opt"])


def log_body(options: Options, body: dict[str, Any]) -> None:
    driver, settings = options["log-driver"], mapping(options["log-opt"])
    if driver == "none" and settings:
        raise InvalidArgument(f"invalid logging opts for driver {driver}")
    body["HostConfig"]["LogConfig"] = {"Type": driver, "Config": settings}


def read_file(path: str, what: str, inherit: bool) -> list[str]:
    """Read lines of name=value; empty lines and those that begin with # say nothing.

    A name alone takes this process's value if `inherit`, and is left out when there is none. Raises
    `InvalidArgument` naming the file.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (pathlib costs 8 ms)
            text = file.read()
    except IsADirectoryError:
        raise InvalidArgument(f"invalid env file ({path}): read {path}: is a directory") from None
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise InvalidArgument(f"open {path}: {reason}") from None
    lines = []
    for number, raw in enumerate(text.split(b"\n"), 1):
        try:
            line = raw.rstrip(b"\r").decode().removeprefix(_BOM if number == 1 else "").lstrip()
        except UnicodeDecodeError:
            raise InvalidArgument(f"invalid {what} ({path}): invalid utf8 bytes at line {number}") from None
        if line and line[0] != "#":
            lines += _line(line, path, what, inherit)
    return lines


def _line(line: str, path: str, what: str, inherit: bool) -> list[str]:
    name, separator, _ = line.partition("=")
    if not name:
        raise InvalidArgument(f"invalid {what} ({path}): no variable name on line '{line}'")
    if any(character.isspace() for character in name):
        raise InvalidArgument(f"invalid {what} ({path}): variable '{name}' contains whitespaces")
    if separator:
        return [line]
    if not inherit:
        return [name]
    return [f"{name}={os.environ[name]}"] if name in os.environ else []
