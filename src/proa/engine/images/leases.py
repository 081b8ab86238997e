"""Leases: what running operations still need, though no record names it yet.

A pull finds a layer present and skips it; if its last image were removed then, the new image would lack the
layer. So operations hold the chain IDs and digests they count on. Leases live in memory: after a crash there
are no operations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Lease:
    """What one operation holds."""

    def __init__(self, held: Counter[str]) -> None:
        self._held = held
        self._keys: list[str] = []

    def add(self, *keys: str) -> None:
        """Hold further chain IDs or digests."""
        self._keys.extend(keys)
        self._held.update(keys)

    def release(self) -> None:
        for key in self._keys:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]
        self._keys.clear()


class Leases:
    """All leases of an engine. `key in leases` tells whether any operation holds it."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    @contextmanager
    def hold(self, *keys: str) -> Iterator[Lease]:
        """Hold `keys`, and what is added to the lease, until the block ends."""
        lease = Lease(self._held)
        lease.add(*keys)
        try:
            yield lease
        finally:
            lease.release()

    def __contains__(self, key: object) -> bool:
        return key in self._held

    def keys(self) -> set[str]:
        return set(self._held)
