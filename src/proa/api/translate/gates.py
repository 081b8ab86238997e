"""Fields that came and went with the API's versions, in one table.

Documents are made with all fields; `fit` takes out what a version did not have. Only what dockerd 28 itself tells
apart is here: it shows most new fields to old clients too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from proa.api.versions import CURRENT, MINIMUM, Version


class _Field(NamedTuple):
    """`path` leads through objects: "HostConfig.Annotations". Both versions have it."""

    path: str
    since: Version = MINIMUM
    until: Version = CURRENT


FIELDS: dict[str, tuple[_Field, ...]] = {
    "container": (_Field("HostConfig.Annotations", since=(1, 46)),),  # a row of the list
    "image": (_Field("VirtualSize", until=(1, 43)),),  # a row of the list
    "image inspect": (
        _Field("VirtualSize", until=(1, 43)),
        _Field("Container", until=(1, 44)),
        _Field("ContainerConfig", until=(1, 44)),
        # What only a container has of its configuration; before, images showed it empty.
        *(
            _Field(f"Config.{name}", until=(1, 49))
            for name in (
                "AttachStdin", "AttachStdout", "AttachStderr", "Domainname", "Hostname", "Image", "OpenStdin",
                "StdinOnce", "Tty",
            )
        ),
    ),
    "info": (
        _Field("KernelMemory", until=(1, 41)),
        _Field("RegistryConfig.AllowNondistributableArtifactsCIDRs", until=(1, 46)),
        _Field("RegistryConfig.AllowNondistributableArtifactsHostnames", until=(1, 46)),
        _Field("RuncCommit.Expected", until=(1, 48)),
        _Field("InitCommit.Expected", until=(1, 48)),
        _Field("FirewallBackend", since=(1, 49)),
        _Field("BridgeNfIptables", until=(1, 49)),
        _Field("BridgeNfIp6tables", until=(1, 49)),
    ),
}  # fmt: skip


def fit(kind: str, document: dict[str, Any], version: Version) -> dict[str, Any]:
    """Take out of `document` what `version` does not have, and return it."""
    for field in FIELDS[kind]:
        if not field.since <= version <= field.until:
            *way, name = field.path.split(".")
            holder = document
            for step in way:
                holder = holder.get(step) or {}
            holder.pop(name, None)
    return document
