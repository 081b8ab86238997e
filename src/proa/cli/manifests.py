"""Manifest lists before they are pushed, in docker's files: `manifests/LIST/MANIFEST` beside config.json, a JSON
document each. What `docker manifest create` began `proa` goes on with, and the other way round.
"""

from __future__ import annotations

import base64
import json
import os
import shutil

from proa.cli.errors import Failure
from proa.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

# One manifest as docker keeps it: Ref, Descriptor (with platform), Raw, and the manifest by its format.
Entry = dict[str, "Any"]

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST, OCI_INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
_LISTS = (DOCKER_LIST, OCI_INDEX)
_PLATFORM = ("architecture", "os", "os.version", "os.features", "variant", "features")
_NOT_FOUND = 404
INSECURE = ("insecure", "", "", "Let the registry do without a known certificate, or without TLS")


class Drafts:
    """The lists that are kept on this machine."""

    def __init__(self) -> None:
        from proa.client.configuration import directory

        self._root = f"{directory(os.environ)}/manifests"

    def __contains__(self, target: Reference) -> bool:
        return os.path.isdir(self._directory(target))

    def entries(self, target: Reference) -> list[Entry]:
        """Return the manifests of a list, [] when there is no such list."""
        try:
            names = sorted(os.listdir(self._directory(target)))
        except FileNotFoundError:
            return []
        return [_read(f"{self._directory(target)}/{name}") for name in names if not name.startswith(".")]

    def get(self, target: Reference, manifest: Reference) -> Entry | None:
        path = f"{self._directory(target)}/{_file_name(manifest)}"
        return _read(path) if os.path.exists(path) else None

    def put(self, target: Reference, manifest: Reference, entry: Entry) -> None:
        place = self._directory(target)
        os.makedirs(place, mode=0o755, exist_ok=True)
        path, made = f"{place}/{_file_name(manifest)}", f"{place}/.{os.getpid()}"
        with open(made, "w") as file:  # noqa: PTH123 (pathlib costs 8 ms)
            json.dump(entry, file, separators=(",", ":"))
        os.replace(made, path)

    def remove(self, target: Reference) -> None:
        """Forget a list. Raises `Failure` when there is none."""
        if target not in self:
            raise missing(target)
        shutil.rmtree(self._directory(target))

    def _directory(self, target: Reference) -> str:
        return f"{self._root}/{_file_name(target)}"


def _file_name(reference: Reference) -> str:
    return str(reference).replace(":", "-").replace("/", "_")


def _read(path: str) -> Entry:
    try:
        with open(path) as file:  # noqa: PTH123 (pathlib costs 8 ms)
            entry = json.load(file)
        base64.b64decode(entry["Raw"], validate=True)
        Reference.parse(entry["Ref"])
        if isinstance(entry["Descriptor"]["mediaType"], str):
            return dict(entry)
    except (ValueError, KeyError, TypeError):
        pass
    raise Failure(f"{path} is no manifest that docker has written; remove it, or the whole list")


def missing(reference: Reference) -> Failure:
    return Failure(f"No such manifest: {reference}")


def fetch(invocation: Invocation, reference: Reference, insecure: bool) -> Entry:
    """Return what a registry has under a name, in the form of docker's files."""
    from proa.client.errors import DaemonError
    from proa.client.wire import decode

    client, headers = invocation.client, registry_headers(reference)
    parameters = {"insecure": "1"} if insecure else {}
    path = f"/proa/manifests/{reference}"
    try:
        found = decode(client.read(client.request("GET", path, parameters, headers=headers)))
    except DaemonError as error:
        if error.status == _NOT_FOUND and error.message != "page not found":
            raise Failure(f"no such manifest: {reference}") from None
        raise
    entry = {"Ref": str(reference), "Descriptor": ordered(found["Descriptor"]), "Raw": found["Raw"]}
    if not is_list(entry):
        kind = "OCIManifest" if entry["Descriptor"]["mediaType"] == OCI_MANIFEST else "SchemaV2Manifest"
        entry[kind] = document(entry)
    return entry


def registry_headers(reference: Reference) -> dict[str, str]:
    from proa.client.credentials import registry_auth

    return {"X-Registry-Auth": registry_auth(reference.domain) or "e30="}


def is_list(entry: Entry) -> bool:
    return entry["Descriptor"]["mediaType"] in _LISTS


def document(entry: Entry) -> Any:
    return json.loads(base64.b64decode(entry["Raw"]))


def parts(invocation: Invocation, listed: Entry, insecure: bool) -> list[Entry]:
    """Return the manifests of a list at a registry, with the platforms that the list gives them."""
    reference = Reference.parse(listed["Ref"])
    found: list[Entry] = []
    for descriptor in document(listed).get("manifests") or []:
        entry = fetch(invocation, reference.with_digest(descriptor["digest"]), insecure)
        entry["Ref"] = f"{listed['Ref']}@{descriptor['digest']}"
        entry["Descriptor"]["platform"] = platform(descriptor)
        found.append(entry)
    return found


def ordered(descriptor: Any) -> dict[str, Any]:
    kept = {name: descriptor[name] for name in ("mediaType", "digest", "size")}
    return {**kept, "platform": platform(descriptor)} if descriptor.get("platform") else kept


def platform(descriptor: Any) -> dict[str, Any]:
    """Return the platform of a descriptor in docker's order of names."""
    given = descriptor.get("platform") or {}
    found = {name: given[name] for name in _PLATFORM if given.get(name)}
    return {"architecture": "", "os": "", **found}


def joined(descriptors: list[Any], media_type: str = "") -> str:
    """Return the list of manifests as docker would push it: the same bytes, so the same digest."""
    if not media_type:
        oci = bool(descriptors) and descriptors[0]["mediaType"] == OCI_MANIFEST
        media_type = OCI_INDEX if oci else DOCKER_LIST
    manifests = [
        {**{name: each[name] for name in ("mediaType", "size", "digest")}, "platform": platform(each)}
        for each in descriptors
    ]
    whole = {"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}
    return json.dumps(whole, indent=3, ensure_ascii=False)


def indented(value: Any) -> str:
    return json.dumps(value, indent="\t", ensure_ascii=False)
