"""Docker's own words, in one catalogue: clients and scripts match on these texts."""

from __future__ import annotations

from proa.errors import Conflict, Forbidden, Internal, InvalidArgument, NotFound, Unavailable, Unsupported
from proa.ids import short


def no_such_image(reference: str) -> NotFound:
    return NotFound(f"No such image: {reference}")


def no_such_reference() -> NotFound:
    return NotFound("reference does not exist")


def no_such_container(name: str) -> NotFound:
    return NotFound(f"No such container: {name}")


def no_such_exec(identifier: str) -> NotFound:
    return NotFound(f"No such exec instance: {identifier}")


def no_such_volume(name: str) -> NotFound:
    return NotFound(f"get {name}: no such volume")


def no_such_plugin(name: str) -> NotFound:
    return NotFound(f'plugin "{name}" not found')


def no_swarm_manager() -> Unavailable:
    return Unavailable(
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" '
        "to connect this node to swarm and try again."
    )


def no_such_network(name: str) -> NotFound:
    return NotFound(f"network {name} not found")


def joined(problems: list[str]) -> str:
    """Return several problems as Docker tells them: one alone, or a list."""
    return problems[0] if len(problems) == 1 else "\n".join(f"* {problem}" for problem in problems)


def ambiguous_network(name: str, count: int) -> InvalidArgument:
    return InvalidArgument(f"network {name} is ambiguous ({count} matches found based on ID prefix)")


def name_in_use(name: str, identifier: str) -> Conflict:
    return Conflict(
        f'Conflict. The container name "/{name}" is already in use by container "{identifier}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )


def not_running(identifier: str) -> Conflict:
    return Conflict(f"container {identifier} is not running")


def restarting(identifier: str) -> Conflict:
    return Conflict(f"Container {identifier} is restarting, wait until the container is running")


PORTS_DISCARDED = "Published ports are discarded when using host network mode"
DRIVER_IGNORED = (
    "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. "
    "Use '--mount type=volume,volume-driver=...' instead"
)


def port_allocated(address: str, port: int) -> Internal:
    return Internal(f"Bind for {address}:{port} failed: port is already allocated")


def all_ports_allocated() -> Internal:
    return Internal("all ports are allocated")


def cannot_bind(host: str, container: str, reason: str, *, chosen: str = "") -> Internal:
    which = f"host port {chosen}" if chosen else "host port"
    return Internal(f"failed to bind {which} for {host}:{container}: {reason}")


def connectivity_failed(name: str, endpoint_id: str, reason: str) -> Internal:
    what = f"driver failed programming external connectivity on endpoint {name} ({endpoint_id})"
    return Internal(f"{what}: {reason}")


def logging_failed(reason: str, kind: type[Internal | InvalidArgument] = Internal) -> Internal | InvalidArgument:
    """`kind`: whose fault it is, the log server's or that of who asked for the container."""
    return kind(f"failed to create task for container: {reason}")


def log_not_readable() -> Unsupported:
    return Unsupported("configured logging driver does not support reading")


def invalid_cidr(text: str) -> InvalidArgument:
    return InvalidArgument(f"invalid CIDR address: {text}")


def gateway_in_use(address: str) -> Conflict:
    return Conflict(f"failed to allocate gateway ({address}): Address already in use")


def pool_overlaps(subnet: str, clash: str) -> Forbidden:
    return Forbidden(
        f"invalid pool request: Pool overlaps with other one on this address space: {subnet} and {clash}"
    )


def no_free_subnet() -> Conflict:
    return Conflict(
        "could not find an available, non-overlapping IPv4 address pool among the defaults "
        "to assign to the network",
        hint="choose the address of the default bridge with --bip",
    )


def no_free_address(network: str, identifier: str) -> Conflict:
    where = f"{network} ({identifier})" if identifier else network
    return Conflict(f"no available IPv4 addresses on this network's address pools: {where}")


def address_in_use() -> Forbidden:
    return Forbidden("Address already in use")


def invalid_mac(text: str) -> InvalidArgument:
    return InvalidArgument(f"address {text}: invalid MAC address")


def image_conflict(image_id: str, reason: str, *, hard: bool) -> Conflict:
    force = "cannot be forced" if hard else "must be forced"
    return Conflict(f"conflict: unable to delete {short(image_id)} ({force}) - {reason}")


def name_used_by_container(reference: str, container_id: str, image_id: str) -> Conflict:
    return Conflict(
        f'conflict: unable to remove repository reference "{reference}" (must force) - '
        f"container {short(container_id)} is using its referenced image {short(image_id)}"
    )


def image_of_other_platform(reference: str, actual: str, wanted: str) -> NotFound:
    return NotFound(
        f"image with reference {reference} was found but its platform ({actual}) "
        f"does not match the specified platform ({wanted})"
    )


def volume_in_use(name: str, containers: list[str]) -> Conflict:
    return Conflict(f"remove {name}: volume is in use - [{', '.join(containers)}]")
