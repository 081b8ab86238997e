"""Bodies of the volume endpoints."""

# ruff: noqa: RUF012 - msgspec gives every instance a copy of its own
from __future__ import annotations

from proa.api.types.base import Empty, Wire


class VolumeCreate(Wire):
    """`POST /volumes/create`."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] = {}
    labels: dict[str, str] = {}
    cluster_volume_spec: Empty | None = None
