"""Docker's config.json, for the few settings that concern a command line: read if there is one.

Only `docker context use` and `docker login` change it, and nothing in it but their own setting.
"""

from __future__ import annotations

import os
import sys

from proa.client.wire import decode
from proa.errors import InvalidArgument, ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
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


def change(environment: Mapping[str, str], edit: Callable[[dict[str, Any]], None]) -> None:
    """Have `edit` change the configuration, and write it where it was, in docker's layout and with its mode.

    Raises `InvalidArgument` for a file that cannot be read: it is left as it is. Raises `OSError`.
    """
    import json

    from proa import atomic

    path = os.path.realpath(f"{directory(environment)}/config.json")
    config: Any = {}
    mode = 0o600
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 (pathlib costs 8 ms)
            mode = os.fstat(file.fileno()).st_mode & 0o777
            text = file.read()
        config = json.loads(text) if text.strip() else {}
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    except ValueError as error:
        raise InvalidArgument(f"cannot change {path}: {error}") from None
    if not isinstance(config, dict):
        raise InvalidArgument(f"cannot change {path}: it is no JSON object")
    edit(config)
    atomic.write(path, json.dumps(config, indent="\t", ensure_ascii=False).encode(), mode=mode)
