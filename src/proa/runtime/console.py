"""The container's terminal: a pseudo terminal of the container's own devpts, bound at /dev/console.

It comes from the container's instance so that its name (/dev/pts/0) means the same inside; see pts(4).
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios

from proa.linux import mount
from proa.runtime import inroot
from proa.runtime.failure import step

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from proa.runtime.channel import Channel

_TIOCSPTLCK, _TIOCGPTN = 0x40045431, 0x80045430


def open_terminal(root_fd: int, channel: Channel, size: tuple[int, int] | None) -> int:
    """Open a new terminal below `root_fd`, send its master to the parent; return the slave."""
    with step("open a terminal of the container"):
        master = inroot.open_in_root(root_fd, "/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY)
        fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
        number = struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, b"\0" * 4))[0]
        slave = inroot.open_in_root(root_fd, f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY)
        if size:
            set_size(master, *size)
        channel.send_terminal(master)
        os.close(master)
        return slave


def bind_console(root_fd: int, slave: int) -> None:
    """Show the terminal as /dev/console, as programs that look for one expect."""
    with step("bind the terminal at /dev/console"):
        target = inroot.open_target(root_fd, "/dev/console", directory=False)
        tree = mount.open_tree(slave, "", mount.OPEN_TREE_CLONE | mount.AT_EMPTY_PATH)
        mount.move_mount(tree, target)
        os.close(tree)
        os.close(target)


def become_controlling(slave: int) -> None:
    """Make `slave` standard input, output and error and the session's controlling terminal."""
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    if slave > 2:
        os.close(slave)


def set_size(fd: int, rows: int, columns: int) -> None:
    """Set a terminal's window size; the foreground processes get SIGWINCH."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
