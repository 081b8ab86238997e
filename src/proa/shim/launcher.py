"""The launcher: a lean, single-threaded process that forks a shim for each container.

Starting Python costs 10 ms and more, forking one that has imported everything half a millisecond. It holds
no secret and does nothing else. When the engine goes, it goes; the shims stay. It runs from a read-only
mount of its own interpreter, and is not dumpable: a process on its way into a container must not be a
handle on the host's file (CVE-2019-5736).

Next hop of `run`: `shim.py`.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys

from proa import cgroups
from proa.cgroups import v1
from proa.linux import capabilities, command_line, mount, packets, process
from proa.shim import shim

CONTROL_FD = 3
_SEALED = "PROA_LAUNCHER_SEALED"


def main() -> None:
    """Serve the engine's requests on descriptor 3 until it closes its end."""
    if os.environ.get(_SEALED) != "1":
        _execute_from_read_only_mount()
    process.set_name("proa-launcher")
    process.prctl(process.PR_SET_DUMPABLE, 0)
    connection = packets.adopt(CONTROL_FD)
    os.set_inheritable(CONTROL_FD, False)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # shims are nobody's zombies
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (32, 33):
        process.default_signal(number)
    os.environ.clear()
    os.chdir("/")
    os.umask(0o022)
    if cgroups.detect() == "v1":
        v1.hierarchies()  # read the mount table once, here, instead of in every shim
    capabilities.bounding_set()  # and this
    command_line.remember()  # and this, which a container's own /proc need not show
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page it touches
    gc.disable()
    _serve(connection)


def _serve(connection: packets.Socket) -> None:
    """Fork a shim for each message: a cgroup's path, and the shim's end of its connection to the engine.

    What this loop touches between two forks, every shim keeps a copy of: so it parses nothing.
    """
    size, flags = socket.CMSG_SPACE(4), int(socket.MSG_CMSG_CLOEXEC)
    while True:
        data, ancillary, _, _ = connection.recvmsg(4096, size, flags)
        if not data:
            return
        fd = int.from_bytes(ancillary[0][2][:4], sys.byteorder)
        if os.fork() == 0:
            _become_shim(connection, data.decode(), fd)
        os.close(fd)


def _become_shim(control: packets.Socket, cgroup_parent: str, fd: int) -> None:
    try:
        control.close()
        os.setsid()
        shim.main(packets.adopt(fd), cgroup_parent)
    finally:
        os._exit(0)


def _execute_from_read_only_mount() -> None:
    """Execute this interpreter again from a detached, read-only clone of the mount that its file is on.

    Opening /proc/PID/exe for writing then fails with EROFS, in a container or out of it, and the mount is
    in nobody's mount table.
    """
    tree = mount.open_tree(mount.AT_FDCWD, os.path.realpath(sys.executable), mount.OPEN_TREE_CLONE)
    mount.mount_setattr(tree, set=mount.MOUNT_ATTR_RDONLY)
    process.execveat(tree, sys.orig_argv, {**os.environ, _SEALED: "1"})


if __name__ == "__main__":
    main()
