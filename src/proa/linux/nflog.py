"""NFLOG through nfnetlink: to hear that rules have logged packets. What was in them is of no interest here.

Constants from <linux/netfilter/nfnetlink_log.h>.
"""

from __future__ import annotations

import socket
import struct

from proa.linux.netlink import NETLINK_NETFILTER, Message, Socket, attribute

_CONFIGURE = 4 << 8 | 1  # NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG
_COMMAND, _MODE, _THRESHOLD = 1, 2, 5
_BIND, _COPY_NONE = 1, 0
_MODE_FORMAT = struct.Struct(">IBB")  # how much of a packet, of which kind; padding
_GENERIC = struct.Struct(">BBH")  # struct nfgenmsg: family, version, the group


class Listener:
    """Listens to a group in the network namespace it was opened in; non-blocking. Raises `OSError`."""

    def __init__(self, group: int) -> None:
        """Another one may have the group already (EPERM): it has one listener."""
        self._socket = Socket(NETLINK_NETFILTER)
        try:
            self._configure(group, attribute(_COMMAND, bytes((_BIND,))))
            self._configure(group, attribute(_MODE, _MODE_FORMAT.pack(0, _COPY_NONE, 0)))
            self._configure(group, attribute(_THRESHOLD, (1).to_bytes(4, "big")))  # tell of each at once
        except BaseException:
            self.close()
            raise

    def _configure(self, group: int, setting: bytes) -> None:
        payload = _GENERIC.pack(0, 0, group) + setting
        self._socket.execute(Message(_CONFIGURE, payload, f"listen to NFLOG group {group}"))

    def fileno(self) -> int:
        return self._socket.fileno()

    def drain(self) -> None:
        """Take what has come, whatever it is: more than there was room for (ENOBUFS) is no less."""
        for _ in range(100):
            try:
                self._socket.receive(socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                continue

    def close(self) -> None:
        self._socket.close()
