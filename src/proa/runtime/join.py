"""A further process in a container (`exec`): born in its pid namespace and cgroup, it joins the rest."""

from __future__ import annotations

import gc
import json
import os
import signal

from proa.linux import namespaces, process
from proa.runtime import console, program
from proa.runtime.failure import step
from proa.runtime.init import console_size

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from proa.cgroups.interface import Cgroup
    from proa.runtime.channel import Channel

_JOINED = (
    namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWNET
    | namespaces.CLONE_NEWIPC
    | namespaces.CLONE_NEWUTS
    | namespaces.CLONE_NEWCGROUP
)


def run(channel: Channel, cgroup: Cgroup, streams: tuple[int, int, int], init: int, path: str) -> NoReturn:
    """Join the container whose process 1 is the pidfd `init`, be the program that `path` tells."""
    try:
        gc.disable()
        signal.set_wakeup_fd(-1)
        if cgroup.directory_fd is None:
            cgroup.enter()
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        process.close_all_but([channel.fileno(), init])
        with open(path, "rb") as file:  # noqa: PTH123 - lean
            spec = json.load(file)
        _become(spec, init, channel)
    except BaseException as error:
        channel.fail(error)


def _become(spec: dict[str, Any], init: int, channel: Channel) -> NoReturn:
    filter_program = program.read_filter(spec)
    os.setsid()
    program.reset_signals()
    with step("join the container's namespaces"):
        namespaces.setns(init, _JOINED)
    if spec["process"].get("terminal"):
        root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        slave = console.open_terminal(root_fd, channel, console_size(spec))
        os.close(root_fd)
        console.become_controlling(slave)
    program.become(spec, filter_program, channel)
