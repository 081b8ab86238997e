"""What the engine and its name server tell each other: JSON objects with descriptors on one SOCK_SEQPACKET.

    engine → server   {"op": "hello"}                   answered by {"version", "containers": {id: pid}, "more"}, …
                      {"op": "put", "id", "container"}  know a container (below), or what has changed of it;
                                                        with its sockets UDP and TCP if they are new, and its
                                                        namespace where servers are asked from there
                      {"op": "drop", "id"}              forget it
                      {"op": "pid", "id", "pid"}        its first process: the container is over with it
                      {"op": "leave"}                   end: another will take over
    server → engine   {"op": "refused", "id", "run", "refused", "final"}   all that egress rules have refused to a
                      container by now, as `gate._FIELDS` has it; "run" is the inode of its network namespace, and
                      "final" says that it is over

A container: "endpoints" as `directory.Endpoint` has them; "servers" for all other names, [{"address", "port"?,
"host": whether it is asked from the host}]; "forwards": whether servers are asked from the host at all;
"short": whether a name without dots is never asked for elsewhere; "egress", if the container has such rules, as
`gate.Gate.update` has them.

The server listens on `SOCKET_NAME` in the engine's exec root. It stays when the engine goes, and ends with its
last container.
"""

from __future__ import annotations

import os

import proa
from proa.linux import packets

SOCKET_NAME = "dns.sock"
VERSION = f"{proa.__version__} 2"  # of these messages: a server of another one is replaced


def listen(directory: str) -> packets.Socket:
    """Listen in an exec root, in the place of whatever listened there before."""
    try:
        os.unlink(f"{directory}/{SOCKET_NAME}")
    except FileNotFoundError:
        pass
    return packets.listen(directory, SOCKET_NAME)


def connect(directory: str) -> packets.Socket:
    """Connect to the name server of an exec root; raises OSError if there is none."""
    return packets.connect(directory, SOCKET_NAME)
