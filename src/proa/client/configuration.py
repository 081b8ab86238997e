"""Docker's config.json, for the few settings that concern a command line: read if there is one, never written."""

from __future__ import annotations

from proa.client.wire import decode
from proa.errors import InvalidArgument, ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def directory(environment: Mapping[str, str]) -> str:
    """Return where docker keeps its configuration."""
    return environment.get("DOCKER_CONFIG") or f"{environment.get('HOME') or '/root'}/.docker"


def load(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the configuration, {} when there is none. Raises `InvalidArgument` for one that cannot be read."""
    path = f"{directory(environment)}/config.json"
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (pathlib costs 8 ms)
            data = file.read()
        config = decode(data) if data.strip() else {}
    except FileNotFoundError:
        return {}
    except (OSError, ProaError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not JSON"
        raise InvalidArgument(f"loading config file: {path}: {reason}") from None
    if not isinstance(config, dict):
        raise InvalidArgument(f"loading config file: {path}: not a JSON object")
    return config
