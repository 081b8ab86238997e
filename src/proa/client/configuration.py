"""Docker's config.json, for the few settings that concern a command line: read if there is one, never written."""

from __future__ import annotations

import sys

from proa.client.wire import decode
from proa.errors import ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def directory(environment: Mapping[str, str]) -> str:
    """Return where docker keeps its configuration."""
    return environment.get("DOCKER_CONFIG") or f"{environment.get('HOME') or '/root'}/.docker"


def load(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the configuration, {} when there is none; one that cannot be read is warned of, as docker does."""
    path = f"{directory(environment)}/config.json"
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (pathlib costs 8 ms)
            data = file.read()
        config = decode(data) if data.strip() else {}
    except FileNotFoundError:
        return {}
    except OSError as error:
        return _unread(path, (error.strerror or str(error)).lower())
    except ProaError:
        return _unread(path, "it is not JSON")
    return config if isinstance(config, dict) else _unread(path, "it is no JSON object")


def _unread(path: str, reason: str) -> dict[str, Any]:
    sys.stderr.write(f"WARNING: Error parsing config file ({path}): {reason}\n")
    return {}
