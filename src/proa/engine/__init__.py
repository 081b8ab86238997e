"""The use cases of the engine: images, containers, volumes, events; what `api/` serves and Python calls.

    from proa.engine import ContainerOptions, Engine, Settings

    async with Engine.open(Settings()) as engine:
        await engine.puller.pull("busybox")
        done = await engine.containers.run(ContainerOptions(image="busybox", command=["echo", "hello"]))

`docs/python.md` has more.
"""

from proa.engine.containers.batch import Completed
from proa.engine.engine import Engine
from proa.engine.logs.reading import LogLine, LogRequest
from proa.engine.options import ContainerOptions, Device, Healthcheck, Mount, Resources, RestartPolicy, Ulimit
from proa.engine.records import Container
from proa.engine.requests import AttachRequest, ExecOptions, ExitStatus
from proa.engine.settings import Settings

__all__ = [
    "AttachRequest", "Completed", "Container", "ContainerOptions", "Device", "Engine", "ExecOptions", "ExitStatus",
    "Healthcheck", "LogLine", "LogRequest", "Mount", "Resources", "RestartPolicy", "Settings", "Ulimit",
]  # fmt: skip
