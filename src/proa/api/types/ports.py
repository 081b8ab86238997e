"""Bodies about published ports that are Proa's own."""

# ruff: noqa: RUF012 - msgspec gives every instance a copy of its own
from __future__ import annotations

from proa.api.types.base import Wire
from proa.api.types.host_config import PortBinding


class PortsChange(Wire):
    """What is to be published and no more, each in the form of PortBindings."""

    add: dict[str, list[PortBinding]] = {}
    remove: dict[str, list[PortBinding]] = {}
