"""What others do to the host's firewall while the engine runs: its own table is made again, obstacles are told of.

`nft flush ruleset`, as the reload of many a firewall does, takes the engine's table, too: containers would have no
way out and in. And a chain that drops forwarded packets by its policy can come at any time. The kernel tells of
changes; the engine's own, elements of its sets, do not wake anybody (linux/nft_changes.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from proa.errors import ProaError
from proa.linux.nft_changes import Changes
from proa.network import forwarding
from proa.network.failures import kernel_errors
from proa.network.ports import Ports
from proa.network.site import Site

_log = logging.getLogger(__name__)

# Seconds from the first change to a look: who reloads rules is done by then, or is looked at again.
_PATIENCE = 0.1


class Guard:
    """start() ── stop(), in the event loop, while the networks are set up.

    `bridge` is the one that warnings speak of; `warn` gets all that hold, `restored` is called after a repair.
    """

    def __init__(
        self,
        site: Site,
        ports: Ports,
        bridge: str,
        *,
        warn: Callable[[list[str]], None],
        restored: Callable[[], None],
    ) -> None:
        self._site, self._ports, self._bridge = site, ports, bridge
        self._warn, self._restored = warn, restored
        self._warnings: list[str] = []
        self._changes: Changes | None = None
        self._pending: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None
        self._again = False  # whether something changed while somebody looked

    def start(self, warnings: list[str]) -> None:
        """Begin to listen; `warnings` are known by now."""
        self._warnings = warnings
        with kernel_errors("listen to changes of the firewall"):
            self._changes = Changes()
        asyncio.get_running_loop().add_reader(self._changes.fileno(), self._heard)

    async def stop(self) -> None:
        """Listen no more, and finish what has begun."""
        if self._changes is None:
            return
        asyncio.get_running_loop().remove_reader(self._changes.fileno())
        self._changes.close()
        self._changes = None
        if self._pending:
            self._pending.cancel()
        if self._looking:
            await self._looking

    def _heard(self) -> None:
        if self._changes and self._changes.drain() and self._pending is None:
            self._pending = asyncio.get_running_loop().call_later(_PATIENCE, self._begin)

    def _begin(self) -> None:
        self._pending = None
        if self._looking:
            self._again = True
            return
        self._looking = asyncio.create_task(self._look())
        self._looking.add_done_callback(self._done)

    def _done(self, _looking: asyncio.Task[None]) -> None:
        self._looking = None
        if self._again and self._changes:
            self._again = False
            self._begin()

    async def _look(self) -> None:
        try:
            if not await asyncio.to_thread(self._site.is_whole):
                await asyncio.wrap_future(self._ports.restore(self._site))
                _log.warning(
                    "another program changed or removed the engine's table %s of nf_tables; it was made again, "
                    "with all networks and published ports",
                    self._site.table,
                )
                self._restored()
            self._tell(list(await asyncio.to_thread(lambda: list(forwarding.obstacles(self._bridge)))))
        except (ProaError, OSError) as error:
            _log.error("the firewall can not be looked at, or its table not be made again: %s", error)

    def _tell(self, warnings: list[str]) -> None:
        for warning in warnings:
            if warning not in self._warnings:
                _log.warning("%s", warning)
        for warning in self._warnings:
            if warning not in warnings:
                _log.info("no longer: %s", warning)
        if warnings != self._warnings:
            self._warnings = warnings
            self._warn(warnings)
