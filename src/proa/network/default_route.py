"""The default routes of a namespace: one for each family, led elsewhere when networks come and go."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address
from typing import NamedTuple

from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from proa.network.endpoint import index_of
from proa.network.failures import kernel_errors


class Way(NamedTuple):
    """Where a default route leads: through which interface, to whom. Empty: nowhere."""

    device: str = ""
    gateway: str = ""


def lead(v4: Way | None, v6: Way | None) -> None:
    """Lead the default routes of the calling thread's namespace; None leaves a family's as they are."""
    with kernel_errors("change the default route"), Socket() as route:
        for family, way in ((socket.AF_INET, v4), (socket.AF_INET6, v6)):
            if way is not None:
                _lead(route, family, way)


def mend(v4: Way, v6: Way) -> None:
    """Lead the default routes of the calling thread's namespace where there is none."""
    with kernel_errors("add the default route"), Socket() as route:
        for family, way in ((socket.AF_INET, v4), (socket.AF_INET6, v6)):
            if way.device and not any(_is_default(found) for found in rtnetlink.routes(route, family)):
                _lead(route, family, way)


def _is_default(found: rtnetlink.Route) -> bool:
    return not found.prefix_length and found.table == rtnetlink.RT_TABLE_MAIN and bool(found.index)


def _lead(route: Socket, family: int, way: Way) -> None:
    for found in rtnetlink.routes(route, family):
        if not _is_default(found):
            continue
        try:
            route.execute(rtnetlink.delete_default_route(family, found.index, found.gateway))
        except OSError as error:
            if error.errno != errno.ESRCH:  # it went with its interface
                raise
    if way.device:
        index = index_of(route, way.device)
        route.execute(rtnetlink.add_route(index, gateway=ip_address(way.gateway).packed))
