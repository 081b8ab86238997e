"""What all networks of an engine share on the host: the firewall's table and the host's forwarding."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from proa import atomic
from proa.errors import Internal
from proa.linux.netlink import Socket
from proa.network import forwarding, port_rules
from proa.network.failures import kernel_errors
from proa.network.firewall import Firewall, Rules
from proa.network.host import has_bridges

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_log = logging.getLogger(__name__)


class Site:
    """The table `table` and the notes in `state_file`; in the namespace of the thread that calls.

    `setup` comes before the networks' own, `teardown` after it. Methods raise `ProaError`.
    """

    def __init__(self, table: str, state_file: Path) -> None:
        self.table = table
        self._state_file = state_file
        self._lock = threading.Lock()
        self._known: dict[str, Rules] = {}  # by bridge: what the table is to have
        self._firewall_lock = threading.Lock()

    def setup(self, networks: Iterable[Rules]) -> None:
        """Let the host forward packets, those of `networks` by their rules; others' are let through."""
        with kernel_errors():
            self._enable_forwarding()
        with self._firewall_lock, closing(Firewall(self.table)) as firewall:
            self._known = {rules.bridge: rules for rules in networks}
            firewall.reset(self._known.values())

    def is_whole(self) -> bool:
        """Whether the table has all its chains and rules; others may have removed some."""
        with self._firewall_lock, closing(Firewall(self.table)) as firewall:
            return firewall.is_whole()

    def restore(self, ports: port_rules.Elements) -> None:
        """Make the table again, with what it is to have and these ports."""
        with kernel_errors():
            self._enable_forwarding()
        with self._firewall_lock, closing(Firewall(self.table)) as firewall:
            firewall.reset(self._known.values(), ports)

    def add(self, rules: Rules) -> None:
        """Let the packets of one more network through; the same again is no error."""
        with self._firewall_lock, closing(Firewall(self.table)) as firewall:
            self._known[rules.bridge] = rules
            firewall.add(rules)

    def remove(self, rules: Rules) -> None:
        """Forget a network with these rules."""
        with self._firewall_lock, closing(Firewall(self.table)) as firewall:
            self._known.pop(rules.bridge, None)
            firewall.remove(rules)

    def enable_ipv6(self) -> None:
        """Let the host forward IPv6 packets, too: asked for by the first network that has them."""
        with self._lock, kernel_errors():
            if not forwarding.is_enabled_ipv6():
                self.remember(enabled_forwarding6=_boot())
                forwarding.enable_ipv6()

    def teardown(self) -> None:
        """Remove table and notes; put forwarding back to what it was, if no other engine's bridge needs it."""
        with kernel_errors(), Socket() as route:
            with closing(Firewall(self.table)) as firewall:
                firewall.delete()
            notes = self.notes()
            if not has_bridges(route):
                if notes.get("enabled_forwarding") == _boot():
                    forwarding.disable()
                if notes.get("enabled_forwarding6") == _boot():
                    forwarding.disable_ipv6()
        self._state_file.unlink(missing_ok=True)

    def _enable_forwarding(self) -> None:
        if not forwarding.is_enabled():
            # Noted first: who dies in between leaves a note too many, not a host that forwards for ever.
            self.remember(enabled_forwarding=_boot())
            forwarding.enable()

    def notes(self) -> dict[str, str]:
        """Return what was noted; nothing if there is no file."""
        try:
            state = json.loads(self._state_file.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise Internal(f"{self._state_file} is damaged: {error}", hint="remove it") from error
        return {str(key): str(value) for key, value in state.items()} if isinstance(state, dict) else {}

    def remember(self, **changes: str) -> None:
        """Note something for the next engine."""
        atomic.write(self._state_file, json.dumps({**self.notes(), **changes}).encode())


def _boot() -> str:
    return _BOOT_ID.read_text().strip()
