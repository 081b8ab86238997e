"""What a pull tells while it runs: Docker's messages, which clients show and scripts read."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `id` is a layer's short digest or a tag, "" for the whole; sizes are in bytes."""

    status: str
    id: str = ""
    current: int | None = None
    total: int | None = None


Report = Callable[[Progress], None]
