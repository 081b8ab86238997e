"""An engine on a host of the test's own, and another host beside it, which all packets to it come from.

For tests with `private_network`: what they do to the firewall, and what the engine does, is the namespace's alone.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from proa.linux import rtnetlink
from proa.linux.netlink import Socket
from rig import archives, standard
from rig.engine import Engine
from rig.private_network import inside, other_host

HERE, HERE6 = "198.18.0.1", "2001:db8:7::1"
THERE, THERE6 = "198.18.0.2", "2001:db8:7::2"
WIRE = "wire0"  # this host's side


@contextmanager
def engine_here(*arguments: str) -> Iterator[Engine]:
    """An engine in the caller's namespace that has busybox."""
    engine = Engine("", arguments)
    try:
        engine.start()
        files = archives.docker(standard.busybox_docker(), "busybox:latest")
        assert engine.api.post("/images/load", archives.tar(files)).status == 200
        yield engine
    finally:
        engine.stop()


@contextmanager
def host_beside() -> Iterator[int]:
    """The namespace of a host on the same wire, which leaves all that it does not know to this one."""
    with other_host(WIRE, [f"{HERE}/24", f"{HERE6}/64"], [f"{THERE}/24", f"{THERE6}/64"]) as namespace:

        def lead() -> None:
            with Socket() as route:
                link = rtnetlink.link(route, "eth0")
                assert link is not None
                for family, gateway in ((socket.AF_INET, HERE), (socket.AF_INET6, HERE6)):
                    route.execute(rtnetlink.add_route(link.index, gateway=socket.inet_pton(family, gateway)))

        inside(namespace, lead)
        yield namespace
