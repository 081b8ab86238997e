"""`--filter name=value`, as the API takes it: {"name": {"value": true}}."""

from __future__ import annotations

from proa.client.wire import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

FLAG = ("filter", "f", "filter", "Show only what fits (name=value)", "filters.condition")


def condition(text: str) -> tuple[str, str]:
    """Return (name, value). Raises `ValueError`."""
    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError("bad format of filter (expected name=value)")
    return name.strip().lower(), value.strip()


def parameter(conditions: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the query parameter, {} without conditions."""
    by_name: dict[str, dict[str, bool]] = {}
    for name, value in conditions:
        by_name.setdefault(name, {})[value] = True
    return {"filters": encode(by_name).decode()} if by_name else {}
