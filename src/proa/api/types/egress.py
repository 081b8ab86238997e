"""Bodies about egress rules, all of them Proa's own."""

# ruff: noqa: RUF012 - msgspec gives every instance a copy of its own
from __future__ import annotations

from proa.api.types.base import Wire


class EgressChange(Wire):
    """Rules as `--egress` takes them."""

    rules: list[str] = []
