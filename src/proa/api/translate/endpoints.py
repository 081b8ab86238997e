"""What a body says of a container's networks: its mode, and what it wants of each."""

from __future__ import annotations

from proa.api.types.containers import CreateBody, EndpointSettings, IpamConfig
from proa.engine.options import EndpointOptions
from proa.errors import InvalidArgument

_DEFAULT = "bridge"


def mode(body: CreateBody) -> str:
    """Return the engine's network mode. Whether the network exists shows at the start, as with Docker."""
    asked = body.host_config.network_mode
    if body.network_disabled is True:
        return "none"
    if asked == "container:":
        raise InvalidArgument("invalid network mode: container: without a name or ID")
    return _DEFAULT if asked in ("", "default") else asked


def networks(body: CreateBody) -> dict[str, EndpointOptions]:
    """Return what is wanted of each network that the body names."""
    if body.network_disabled is True:
        return {}
    wanted = body.networking_config.endpoints_config
    found = {_DEFAULT if name == "default" else name: options(settings) for name, settings in wanted.items()}
    main = found.get(mode(body)) or next(iter(found.values()), None)
    given = body.mac_address or ""
    if main and given:
        if main.mac_address and main.mac_address != given:
            raise InvalidArgument(
                "the container-wide MAC address must match the endpoint-specific MAC address "
                "for the main network, or be left empty"
            )
        main.mac_address = given
    return found


def options(settings: EndpointSettings) -> EndpointOptions:
    """Return what is wanted of one network."""
    addresses = settings.ipam_config or IpamConfig()
    return EndpointOptions(
        aliases=settings.aliases or [],
        links=settings.links or [],
        address=addresses.ipv4_address,
        address6=addresses.ipv6_address,
        link_local_addresses=addresses.link_local_ips,
        mac_address=settings.mac_address,
        driver_options=settings.driver_opts or {},
        gateway_priority=settings.gw_priority,
    )
