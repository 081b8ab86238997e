"""What the wire types share."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
Unset = msgspec.UnsetType
UNSET = msgspec.UNSET  # a field that Docker leaves out when it is empty (Go's `omitempty`)
Empty = dict[str, Any]  # Go's `struct{}`: members of a set


class Wire(msgspec.Struct, kw_only=True, rename="pascal"):
    """A JSON object of the API: `memory_swap` is "MemorySwap" there."""
