"""`--docker host=…,ca=…` of `context create` and `context update`."""

from __future__ import annotations

import csv

KEYS = ("from", "host", "ca", "cert", "key", "skip-tls-verify")


def pairs(text: str) -> dict[str, str]:
    """Return {"host": …} of "host=…,ca=…", fields being quoted as in CSV files. Raises `ValueError`."""
    found = {}
    for field in next(csv.reader([text]), []):
        name, separator, value = field.partition("=")
        if not separator:
            raise ValueError(f"{field} must be formatted as key=value")
        found[name] = value
    return found
