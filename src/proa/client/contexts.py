"""Docker's contexts, in docker's own files: each names an endpoint, and may have the TLS files for it.

    contexts/meta/<sha256 of the name>/meta.json
    contexts/tls/<sha256 of the name>/docker/{ca,cert,key}.pem

What docker's client has written is read here, and the other way round; what other programs add stays.
"""

from __future__ import annotations

import os

from proa import atomic
from proa.client.configuration import directory
from proa.client.tls import Tls
from proa.client.wire import decode
from proa.errors import Internal, InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ENDPOINT = "docker"
TLS_FILES = ("ca.pem", "cert.pem", "key.pem")


class Context:
    """One context: its description among `metadata`, its endpoint, and the contents of its TLS files."""

    def __init__(
        self, name: str, metadata: dict[str, Any], endpoint: dict[str, Any], tls: dict[str, bytes]
    ) -> None:
        """`endpoint` is {"Host": URL, "SkipTLSVerify": whether to take any certificate}."""
        self.name = name
        self.metadata = metadata
        self.endpoint = endpoint
        self.tls = tls

    @property
    def document(self) -> dict[str, Any]:
        return {"Name": self.name, "Metadata": self.metadata, "Endpoints": {ENDPOINT: self.endpoint}}

    @property
    def description(self) -> str:
        return str(self.metadata.get("Description", ""))


def load(name: str, environment: Mapping[str, str]) -> tuple[str, Tls | None]:
    """Return the URL of the context `name` and its TLS files.

    Raises `NotFound`, `InvalidArgument` for a broken one.
    """
    store = Store(environment)
    try:
        endpoint = store.endpoint(name)
    except NotFound as error:
        raise NotFound(f"Failed to initialize: unable to resolve docker endpoint: {error.message}") from None
    files = store.tls_files(name)
    if not files:
        return str(endpoint["Host"]), None
    ca, certificate, key = (files.get(each, "") for each in TLS_FILES)
    return str(endpoint["Host"]), Tls(ca, certificate, key, verify=not endpoint.get("SkipTLSVerify"))


class Store:
    """All contexts of a user."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._root = f"{directory(environment)}/contexts"

    def metadata_path(self, name: str) -> str:
        return f"{self._root}/meta/{_identifier(name)}"

    def tls_path(self, name: str) -> str:
        return f"{self._root}/tls/{_identifier(name)}"

    def names(self) -> list[str]:
        """Return the names of all contexts that can be read."""
        found = []
        for identifier in _listed(f"{self._root}/meta"):
            try:
                document = _read(f"{self._root}/meta/{identifier}/meta.json")
                found.append(str(document["Name"]))
            except (OSError, Internal, KeyError, TypeError):
                continue  # half a context: naming it is how to learn what is wrong
        return found

    def exists(self, name: str) -> bool:
        return os.path.exists(f"{self.metadata_path(name)}/meta.json")

    def endpoint(self, name: str) -> dict[str, Any]:
        """Return {"Host": …}. Raises `NotFound`, `InvalidArgument` for a broken context."""
        return self._parts(name)[1]

    def load(self, name: str) -> Context:
        """Raises `NotFound`, `InvalidArgument` for a broken context."""
        metadata, endpoint = self._parts(name)
        contents = {}
        for file_name, path in self.tls_files(name).items():
            with open(path, "rb") as file:  # noqa: PTH123 (pathlib costs 8 ms)
                contents[file_name] = file.read()
        return Context(name, metadata, endpoint, contents)

    def _parts(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        path = f"{self.metadata_path(name)}/meta.json"
        try:
            document = _read(path)
            endpoint = document["Endpoints"][ENDPOINT]
            endpoint["Host"] = str(endpoint.get("Host", ""))
            return dict(document.get("Metadata") or {}), dict(endpoint)
        except FileNotFoundError:
            raise NotFound(
                f'context "{name}": context not found: open {path}: no such file or directory'
            ) from None
        except (OSError, Internal, KeyError, TypeError, AttributeError) as error:
            raise InvalidArgument(f'context "{name}": cannot read {path}: {error}') from None

    def tls_files(self, name: str) -> dict[str, str]:
        """Return {"ca.pem": path} of the TLS files that there are."""
        place = f"{self.tls_path(name)}/{ENDPOINT}"
        return {each: f"{place}/{each}" for each in TLS_FILES if os.path.exists(f"{place}/{each}")}

    def save(self, context: Context) -> None:
        """Write a context, new or changed; a reader sees the old one or the new one. Raises `OSError`."""
        tls = f"{self.tls_path(context.name)}/{ENDPOINT}"
        _removed(tls)
        for name, data in context.tls.items():
            for place in (os.path.dirname(tls), tls):  # `makedirs` gives its mode to the last one only
                os.makedirs(place, mode=0o700, exist_ok=True)
            atomic.write(f"{tls}/{name}", data)
        place = self.metadata_path(context.name)
        os.makedirs(place, exist_ok=True)
        import json

        document = json.dumps(context.document, separators=(",", ":"))
        atomic.write(f"{place}/meta.json", document.encode(), mode=0o644)

    def remove(self, name: str) -> None:
        """Remove a context, if there is one."""
        for path in (self.metadata_path(name), self.tls_path(name)):
            _removed(path)


def _removed(path: str) -> None:
    import shutil

    if os.path.exists(path):
        shutil.rmtree(path)


def _identifier(name: str) -> str:
    return str(_sha256()(name.encode("utf-8", "surrogateescape")).hexdigest())


def _sha256() -> Any:
    """Return the function; `hashlib` takes 5 ms to import, so the module behind it goes first."""
    for module in ("_sha2", "_sha256"):  # of Python 3.12 and later, of 3.11
        try:
            return __import__(module).sha256
        except (ImportError, AttributeError):
            pass
    import hashlib

    return hashlib.sha256


def _listed(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []


def _read(path: str) -> Any:
    with open(path, "rb") as file:  # noqa: PTH123 (pathlib costs 8 ms)
        return decode(file.read())
