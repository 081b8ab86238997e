"""Docker's contexts: ~/.docker/contexts/meta/<sha256 of the name>/meta.json names an endpoint."""

from __future__ import annotations

import hashlib
import json
import os

from proa.client.configuration import directory
from proa.client.tls import Tls
from proa.errors import InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def load(name: str, environment: Mapping[str, str]) -> tuple[str, Tls | None]:
    """Return the URL of the context `name` and its TLS files.

    Raises `NotFound`, `InvalidArgument` for a broken one.
    """
    root = f"{directory(environment)}/contexts"
    identifier = hashlib.sha256(name.encode()).hexdigest()
    path = f"{root}/meta/{identifier}/meta.json"
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 (pathlib costs 8 ms)
            endpoint = json.load(file)["Endpoints"]["docker"]
        host = str(endpoint["Host"])
    except FileNotFoundError:
        raise NotFound(
            f'Failed to initialize: unable to resolve docker endpoint: context "{name}": context not found: '
            f"open {path}: no such file or directory"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidArgument(f'context "{name}": cannot read {path}: {error}') from None
    return host, _tls(f"{root}/tls/{identifier}/docker", bool(endpoint.get("SkipTLSVerify")))


def _tls(files_in: str, skip_verification: bool) -> Tls | None:
    if not os.path.isdir(files_in):
        return None
    files = [f"{files_in}/{name}.pem" for name in ("ca", "cert", "key")]
    ca, certificate, key = (path if os.path.exists(path) else "" for path in files)
    return Tls(ca, certificate, key, verify=not skip_verification)
