"""`create`: check and complete the options, resolve mounts, record the container. No process starts here.

Next hop of `run`: `start.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from proa import cgroups, ids, times, wording
from proa.engine import names, resources
from proa.engine.containers import config, confinement, health, layer_limit, links, mountpoints, view
from proa.engine.logs import drivers
from proa.engine.networks import attach
from proa.engine.options import ContainerOptions
from proa.engine.records import Container
from proa.engine.requests import Created
from proa.engine.security import Security
from proa.errors import InvalidArgument, Unsupported
from proa.oci import platform

if TYPE_CHECKING:
    from proa.engine.containers.containers import Containers
    from proa.engine.images.image import Image

_LONGEST_NAME = 64  # bytes; sethostname(2)
_SHARED = ("network_mode", "ipc_mode", "pid_mode")


async def create(containers: Containers, options: ContainerOptions, name: str, request: dict[str, Any]) -> Created:
    """Make a container; raises `NotFound` for an unknown image, `Conflict` for a taken name."""
    image = containers.images.get(options.image, options.platform)
    options = drivers.merged(
        config.merged(options, image), containers.settings.log_driver, containers.settings.log_options
    )
    warnings = _platform_warnings(options, image) + _check(containers, options)
    identifier = ids.new_id()
    options = links.resolved(containers, options)
    options = _completed(containers, options, identifier)
    name = _choose_name(containers, name)
    command = config.arguments(options)
    record = Container(
        id=identifier,
        name=name,
        created=times.now(),
        image_id=image.id,
        layers=image.layers,
        options=options,
        path=command[0],
        args=command[1:],
        request=request,
        warnings=warnings,
    )
    record.endpoints = attach.planned(containers.networks, options)
    record.mounts = mountpoints.resolve(containers, record)
    try:
        containers.store.insert(record)
    except BaseException:
        mountpoints.release(containers, record, anonymous=True)
        raise
    try:
        await view.fill_volumes(containers, record)
    except BaseException:
        await containers.remove_now(record, volumes=True)
        raise
    containers.emit("create", record)
    return Created(id=identifier, warnings=warnings)


def _check(containers: Containers, options: ContainerOptions) -> list[str]:
    """Refuse what makes no sense or is not supported; return warnings."""
    resources.validate(options)
    drivers.validate(options.log_driver, options.log_options)
    _check_modes(options)
    layer_limit.check(containers, options)
    if options.working_dir and not options.working_dir.startswith("/"):
        raise InvalidArgument(
            f"the working directory '{options.working_dir}' is invalid, it needs to be an absolute path"
        )
    if options.stop_signal:
        names.parse_signal(options.stop_signal)
    if containers.runtimes.command(options.runtime) and options.init:
        raise Unsupported(f"--init is a part of Proa's own runtime: the runtime {options.runtime} has none")
    confinement.check(containers, options)
    security = Security.of(options, containers.filters, guarded=bool(confinement.guard(containers, options)))
    limits = resources.specification(options, options.privileged)
    checks = health.examine(options.healthcheck) if options.healthcheck else []
    ports = [wording.PORTS_DISCARDED] if options.network_mode == "host" and options.port_bindings else []
    return [*ports, *resources.warnings(options), *cgroups.unsupported(limits), *security.warnings, *checks]


def _platform_warnings(options: ContainerOptions, image: Image) -> list[str]:
    """An image of another platform may run, through binfmt_misc: so this is no error."""
    here = platform.default()
    if options.platform or here.matches(image.config.platform):
        return []
    return [
        f"The requested image's platform ({image.config.platform}) does not match the detected host platform "
        f"({here}) and no specific platform was requested"
    ]


def _check_modes(options: ContainerOptions) -> None:
    if options.auto_remove and options.restart_policy.name != "no":
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")
    mac = options.mac_address or any(each.mac_address for each in options.networks.values())
    if options.network_mode == "host" and mac:
        raise InvalidArgument("conflicting options: mac-address and the network mode")
    for name in (options.hostname, options.domainname):
        if len(name.encode()) > _LONGEST_NAME:
            raise InvalidArgument(f"invalid hostname or domainname: longer than {_LONGEST_NAME} bytes: {name:.80}")
    if options.uts_mode == "host" and options.hostname:
        raise InvalidArgument("conflicting options: hostname and the UTS mode")
    if options.network_mode.startswith("container:"):
        for value, what in (
            (options.hostname, "hostname"),
            (options.dns or options.dns_search or options.dns_options, "dns"),
            (options.extra_hosts, "custom host-to-IP mapping"),
            (mac, "mac-address"),
        ):
            if value:
                raise InvalidArgument(f"conflicting options: {what} and the network mode")


def _completed(containers: Containers, options: ContainerOptions, identifier: str) -> ContainerOptions:
    """Fill in what Docker decides at create: host name, size of /dev/shm, containers by their id."""
    changes: dict[str, Any] = {}
    for field in _SHARED:
        kind, separator, other = getattr(options, field).partition(":")
        if separator and kind == "container" and (found := containers.store.find(other)):
            changes[field] = f"container:{found.id}"  # one that does not exist shows at the start
    if not options.runtime:
        changes["runtime"] = containers.runtimes.default
    if not options.hostname:
        changes["hostname"] = _host_name(containers, options, identifier)
    if not options.shm_size:
        changes["shm_size"] = containers.settings.default_shm_size
    return msgspec.structs.replace(options, **changes)


def _choose_name(containers: Containers, name: str) -> str:
    if not name:
        return names.random_name(containers.store.name_taken)
    return names.validate_container_name(name)


def _host_name(containers: Containers, options: ContainerOptions, identifier: str) -> str:
    """Return the name of a container that was given none: the host's if it shares it, else its short id."""
    kind, _, other = options.network_mode.partition(":")
    if kind == "container" and (donor := containers.store.find(other)):
        return donor.options.hostname
    if "host" in (options.network_mode, options.uts_mode):
        return containers.host.read_text().strip()
    return identifier[:12]
