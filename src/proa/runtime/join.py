"""A further process in a container (`exec`): born in its pid namespace and cgroup, it joins the rest."""

from __future__ import annotations

import os

from proa.linux import namespaces
from proa.runtime import console, program
from proa.runtime.failure import step
from proa.runtime.init import console_size

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from proa.runtime.container import ChildChannels

_JOINED = (
    namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWNET
    | namespaces.CLONE_NEWIPC
    | namespaces.CLONE_NEWUTS
    | namespaces.CLONE_NEWCGROUP
)


def run(spec: dict[str, Any], init_pidfd: int, filter_program: bytes, channels: ChildChannels) -> NoReturn:
    """Join the container whose process 1 is `init_pidfd` and become the program."""
    os.setsid()
    with step("join the container's namespaces"):
        namespaces.setns(init_pidfd, _JOINED)
    if spec["process"].get("terminal"):
        root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        slave = console.open_terminal(root_fd, channels.terminal, console_size(spec))
        os.close(root_fd)
        console.become_controlling(slave)
    program.become(spec, filter_program, channels.failure)
