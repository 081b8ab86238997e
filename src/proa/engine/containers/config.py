"""What a new container's configuration is: its own options over those of the image.

The rules are Docker's: a given entrypoint drops the image's command; variables and labels of the container
win; an empty entrypoint clears the image's.
"""

from __future__ import annotations

import msgspec

from proa.engine.containers import health
from proa.engine.images.image import Image
from proa.engine.options import ContainerOptions, Mount
from proa.errors import InvalidArgument

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def merged(options: ContainerOptions, image: Image) -> ContainerOptions:
    """Return `options` completed from the image; raises `InvalidArgument` if there is nothing to run."""
    config = image.config
    entrypoint, command = options.entrypoint, options.command
    if not entrypoint:
        if not command and entrypoint is None:
            command = config.cmd
        if entrypoint is None:
            entrypoint = config.entrypoint
    if entrypoint == [""]:
        entrypoint = []
    if not entrypoint and not command:
        raise InvalidArgument("no command specified")
    return msgspec.structs.replace(
        options,
        entrypoint=entrypoint,
        command=command,
        env=_inherited(options.env, config.env),
        user=options.user or config.user,
        working_dir=options.working_dir or config.working_dir,
        stop_signal=options.stop_signal or config.stop_signal,
        healthcheck=health.merged(options.healthcheck, config),
        labels={**config.labels, **options.labels},
        exposed_ports=sorted({*config.exposed_ports, *options.exposed_ports}),
        mounts=[*options.mounts, *_image_volumes(options, config.volumes)],
    )


def _inherited(own: list[str], inherited: list[str]) -> list[str]:
    """Return a container's variables as it is configured: its own as they were given, NAME alone too, which
    keeps away what the image or the engine would set; then those of the image that it does not name."""
    named = {entry.partition("=")[0] for entry in own}
    return [*own, *(entry for entry in inherited if entry.partition("=")[0] not in named)]


def environment(own: list[str], inherited: list[str]) -> list[str]:
    """Merge variables for a process: an own one replaces an inherited one in its place; NAME alone removes it."""
    result: dict[str, str] = {}
    for entry in (*inherited, *own):
        name, separator, value = entry.partition("=")
        if separator:
            result[name] = value
        else:
            result.pop(name, None)
    return [f"{name}={value}" for name, value in result.items()]


def arguments(options: ContainerOptions) -> list[str]:
    """Return the complete command line."""
    return [*(options.entrypoint or ()), *(options.command or ())]


def _image_volumes(options: ContainerOptions, volumes: list[str]) -> list[Mount]:
    taken = {mount.target.rstrip("/") for mount in options.mounts}
    return [
        Mount(type="volume", target=path, from_image=True) for path in volumes if path.rstrip("/") not in taken
    ]
