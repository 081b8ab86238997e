"""Proxies of config.json: variables that every container gets unless `--env` sets them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_VARIABLES = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "noProxy": "NO_PROXY",
    "ftpProxy": "FTP_PROXY",
    "allProxy": "ALL_PROXY",
}


def variables(config: Mapping[str, Any], host: str, given: list[str]) -> list[str]:
    """Return what is to be added to `given`, in upper and in lower case, for the engine at the URL `host`."""
    proxies = config.get("proxies") or {}
    settings = proxies.get(host) or proxies.get("default") or {}
    set_already = {text.partition("=")[0] for text in given}
    found = []
    for field, name in _VARIABLES.items():
        if settings.get(field):
            names = [one for one in (name, name.lower()) if one not in set_already]
            found += [f"{one}={settings[field]}" for one in names]
    return found
