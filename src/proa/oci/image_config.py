"""Image configurations (OCI image-spec, config.md, and Docker's superset), kept as the JSON they came as.

Unknown fields survive a round trip, since the digest of these bytes is the image's identifier. Accessors
return checked values: an `ImageConfig` that was built holds no surprise in any field named here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from proa.errors import InvalidArgument
from proa.oci import digest as digests
from proa.oci.platform import Platform, normalize

MAX_SIZE = 8 << 20  # bytes

_STRING_FIELDS = ("architecture", "os", "variant", "os.version", "created", "author", "comment")
_CONFIG_FIELDS: dict[str, str] = {  # Docker's names in `config`: what they must hold (null counts as absent)
    "User": "string", "WorkingDir": "string", "StopSignal": "string",
    "Hostname": "string", "Domainname": "string",
    "Env": "list of strings", "Entrypoint": "list of strings", "Cmd": "list of strings",
    "Shell": "list of strings", "OnBuild": "list of strings",
    "Volumes": "object", "ExposedPorts": "object", "Healthcheck": "object",
    "Labels": "object of strings",
}  # fmt: skip


class ImageConfig:
    """One image configuration. Treat `document` as read-only: `replaced` makes changed ones."""

    def __init__(self, document: dict[str, Any], raw: bytes = b"") -> None:
        _check(document)
        self.document = document
        self._raw = raw

    @classmethod
    def parse(cls, raw: bytes) -> ImageConfig:
        """Parse and check a configuration. Raises `InvalidArgument`."""
        if len(raw) > MAX_SIZE:
            raise InvalidArgument(f"image configuration is larger than {MAX_SIZE} bytes")
        try:
            document = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidArgument(f"invalid image configuration: {error}") from None
        if not isinstance(document, dict):
            raise InvalidArgument("invalid image configuration: not a JSON object")
        return cls(document, raw)

    def to_bytes(self) -> bytes:
        """Return the bytes it was parsed from, or for a new one its compact JSON."""
        if not self._raw:
            self._raw = msgspec.json.encode(self.document)
        return self._raw

    @property
    def digest(self) -> str:
        """The image's identifier."""
        return digests.of(self.to_bytes())

    def replaced(self, **fields: Any) -> ImageConfig:
        """Return a configuration with some top-level fields replaced."""
        return ImageConfig({**self.document, **fields})

    @property
    def architecture(self) -> str:
        return str(self.document.get("architecture") or "")

    @property
    def os(self) -> str:
        return str(self.document.get("os") or "")

    @property
    def variant(self) -> str:
        return str(self.document.get("variant") or "")

    @property
    def platform(self) -> Platform:
        """The platform, in Go's names; an empty `os` is Linux, as old Docker images have it."""
        return normalize(Platform(self.os or "linux", self.architecture, self.variant))

    @property
    def created(self) -> str:
        """RFC 3339 text, or "" when the image does not say."""
        return str(self.document.get("created") or "")

    @property
    def author(self) -> str:
        return str(self.document.get("author") or "")

    @property
    def diff_ids(self) -> list[str]:
        """Digests of the uncompressed layers, base first."""
        return list(self.document["rootfs"].get("diff_ids") or ())

    @property
    def history(self) -> list[dict[str, Any]]:
        return list(self.document.get("history") or ())

    @property
    def config(self) -> dict[str, Any]:
        """The defaults for containers as they stand in the document (Docker's names)."""
        return self.document.get("config") or {}

    @property
    def env(self) -> list[str]:
        return list(self.config.get("Env") or ())

    @property
    def entrypoint(self) -> list[str]:
        return list(self.config.get("Entrypoint") or ())

    @property
    def cmd(self) -> list[str]:
        return list(self.config.get("Cmd") or ())

    @property
    def user(self) -> str:
        return str(self.config.get("User") or "")

    @property
    def working_dir(self) -> str:
        return str(self.config.get("WorkingDir") or "")

    @property
    def stop_signal(self) -> str:
        return str(self.config.get("StopSignal") or "")

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.config.get("Labels") or {})

    @property
    def volumes(self) -> list[str]:
        """Paths declared by VOLUME."""
        return list(self.config.get("Volumes") or ())

    @property
    def exposed_ports(self) -> list[str]:
        """Ports declared by EXPOSE, "80/tcp"."""
        return list(self.config.get("ExposedPorts") or ())

    @property
    def shell(self) -> list[str]:
        return list(self.config.get("Shell") or ())

    @property
    def on_build(self) -> list[str]:
        return list(self.config.get("OnBuild") or ())

    @property
    def healthcheck(self) -> dict[str, Any]:
        """Docker's Healthcheck object; {} when there is none."""
        return dict(self.config.get("Healthcheck") or {})


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """Return the identifier of the stack up to each layer, base first (config.md, "Layer ChainID")."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(digests.of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return chain


def _check(document: dict[str, Any]) -> None:
    for name in _STRING_FIELDS:
        _expect(document.get(name), "string", name)
    rootfs = document.get("rootfs")
    if not isinstance(rootfs, dict) or rootfs.get("type", "layers") != "layers":
        raise InvalidArgument("invalid rootfs in image configuration")
    diff_ids = rootfs.get("diff_ids")
    if not isinstance(diff_ids, list) and diff_ids is not None:
        raise InvalidArgument("invalid rootfs in image configuration")
    for diff_id in diff_ids or ():
        digests.validate(diff_id)
    _expect(document.get("history"), "list of objects", "history")
    _expect(document.get("config"), "object", "config")
    for name, kind in _CONFIG_FIELDS.items():
        _expect((document.get("config") or {}).get(name), kind, f"config.{name}")


def _expect(value: Any, kind: str, name: str) -> None:
    """Raise unless `value` is of `kind`; null counts as absent, as in Go's decoder."""
    if value is None:
        return
    good = {
        "string": lambda: isinstance(value, str),
        "object": lambda: isinstance(value, dict),
        "list of strings": lambda: isinstance(value, list) and all(isinstance(item, str) for item in value),
        "list of objects": lambda: isinstance(value, list) and all(isinstance(item, dict) for item in value),
        "object of strings": lambda: (
            isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
        ),
    }[kind]()
    if not good:
        raise InvalidArgument(f"invalid image configuration: {name} is not a {kind}")
