"""POST /proa/containers/{id}/ports: other published ports for a container, at once if it runs."""

from __future__ import annotations

from proa.api.request import Request, Response, json_response, required
from proa.api.translate.ports import bindings, port_map
from proa.api.types.ports import PortsChange


async def change(request: Request) -> Response:
    """Publish ports and take others back, all or nothing; answers as `NetworkSettings.Ports` does."""
    name = request.engine.containers.get(request.name()).id
    body = required(await request.json(PortsChange))
    await request.engine.containers.change_ports(name, bindings(body.add), bindings(body.remove))
    return json_response({"Ports": port_map(request.engine.containers.get(name))})
