"""Every endpoint that Proa answers, in one table. What is not here is 404 `page not found`.

Longer patterns come before shorter ones that match the same paths.
"""

from __future__ import annotations

from proa.api.router import Endpoint

_WAITS = True  # abandonable: nothing is left to do when the client has gone

ENDPOINTS: tuple[Endpoint, ...] = (
    # System
    Endpoint("HEAD", "/_ping", "system:ping"),
    Endpoint("GET", "/_ping", "system:ping"),
    Endpoint("GET", "/version", "system:version"),
    Endpoint("GET", "/info", "system:info"),
    Endpoint("GET", "/system/df", "system:disk_usage"),
    Endpoint("GET", "/events", "events:events", abandonable=_WAITS),
    Endpoint("GET", "/proa/openapi.json", "description:openapi"),
    Endpoint("POST", "/auth", "distribution:auth", abandonable=_WAITS),
    Endpoint("GET", "/distribution/{name}/json", "distribution:inspect", abandonable=_WAITS),
    Endpoint("GET", "/proa/digests/{name}", "manifests:digest", abandonable=_WAITS),
    Endpoint("GET", "/proa/manifests/{name}", "manifests:look", abandonable=_WAITS),
    Endpoint("POST", "/proa/manifests/{name}", "manifests:push", abandonable=_WAITS),
    # Containers
    Endpoint("GET", "/containers/json", "containers.list:list_containers"),
    Endpoint("POST", "/containers/create", "containers.create:create"),
    Endpoint("POST", "/containers/prune", "containers.prune:prune"),
    Endpoint("GET", "/containers/{name}/json", "containers.inspect:inspect"),
    Endpoint("GET", "/containers/{name}/top", "containers.inspect:top"),
    Endpoint("GET", "/containers/{name}/changes", "containers.inspect:changes"),
    Endpoint("GET", "/containers/{name}/logs", "containers.logs:logs", abandonable=_WAITS),
    Endpoint("POST", "/containers/{name}/start", "containers.lifecycle:start"),
    Endpoint("POST", "/containers/{name}/stop", "containers.lifecycle:stop"),
    Endpoint("POST", "/containers/{name}/restart", "containers.lifecycle:restart"),
    Endpoint("POST", "/containers/{name}/kill", "containers.lifecycle:kill"),
    Endpoint("POST", "/containers/{name}/pause", "containers.lifecycle:pause"),
    Endpoint("POST", "/containers/{name}/unpause", "containers.lifecycle:unpause"),
    Endpoint("POST", "/containers/{name}/rename", "containers.lifecycle:rename"),
    Endpoint("POST", "/containers/{name}/resize", "containers.lifecycle:resize"),
    Endpoint("POST", "/containers/{name}/wait", "containers.wait:wait", abandonable=_WAITS),
    Endpoint("POST", "/containers/{name}/attach", "containers.attach:attach"),
    Endpoint("POST", "/containers/{name}/exec", "execs:create"),
    Endpoint("GET", "/containers/{name}/attach/ws", "containers.attach:attach_websocket"),
    Endpoint("GET", "/containers/{name}/stats", "containers.stats:stats", abandonable=_WAITS),
    Endpoint("GET", "/containers/{name}/export", "containers.archive:export"),
    Endpoint("POST", "/containers/{name}/update", "containers.update:update"),
    Endpoint("POST", "/proa/containers/{name}/ports", "containers.ports:change"),
    Endpoint("POST", "/proa/containers/{name}/egress", "containers.egress:change"),
    Endpoint("GET", "/proa/containers/{name}/snapshots", "containers.snapshots:list_snapshots"),
    Endpoint("POST", "/proa/containers/{name}/snapshots", "containers.snapshots:take"),
    Endpoint("DELETE", "/proa/containers/{name}/snapshots", "containers.snapshots:remove"),
    Endpoint("POST", "/proa/containers/{name}/rewind", "containers.snapshots:rewind"),
    Endpoint("POST", "/proa/containers/{name}/fork", "containers.snapshots:fork"),
    Endpoint("HEAD", "/containers/{name}/archive", "containers.archive:status"),
    Endpoint("GET", "/containers/{name}/archive", "containers.archive:read"),
    Endpoint("PUT", "/containers/{name}/archive", "containers.archive:write"),
    Endpoint("GET", "/containers/{name}/checkpoints", "unsupported:checkpoint"),
    Endpoint("POST", "/containers/{name}/checkpoints", "unsupported:checkpoint"),
    Endpoint("DELETE", "/containers/{name}", "containers.lifecycle:remove"),
    # Exec
    Endpoint("POST", "/exec/{name}/start", "execs:start"),
    Endpoint("POST", "/exec/{name}/resize", "execs:resize"),
    Endpoint("GET", "/exec/{name}/json", "execs:inspect"),
    # Images
    Endpoint("GET", "/images/json", "images.list:list_images"),
    Endpoint("GET", "/images/search", "images.search:search", abandonable=_WAITS),
    Endpoint("GET", "/images/get", "images.archives:save_several", abandonable=_WAITS),
    Endpoint("POST", "/images/load", "images.archives:load", abandonable=_WAITS),
    Endpoint("POST", "/images/create", "images.pull:create", abandonable=_WAITS),
    Endpoint("POST", "/images/prune", "images.remove:prune"),
    Endpoint("POST", "/proa/images/verify", "images.verify:verify", abandonable=_WAITS),
    Endpoint("POST", "/commit", "images.commit:commit"),
    Endpoint("GET", "/images/{name}/json", "images.inspect:inspect"),
    Endpoint("GET", "/images/{name}/history", "images.inspect:history"),
    Endpoint("GET", "/images/{name}/get", "images.archives:save", abandonable=_WAITS),
    Endpoint("POST", "/images/{name}/tag", "images.tag:tag"),
    Endpoint("POST", "/images/{name}/push", "images.push:push", abandonable=_WAITS),
    Endpoint("DELETE", "/images/{name}", "images.remove:remove"),
    # Build
    Endpoint("POST", "/build", "builds:build"),
    Endpoint("POST", "/build/prune", "builds:prune"),
    Endpoint("POST", "/build/cancel", "builds:cancel"),
    Endpoint("POST", "/session", "builds:session"),
    Endpoint("POST", "/grpc", "builds:session"),
    # Volumes
    Endpoint("GET", "/volumes", "volumes:list_volumes"),
    Endpoint("POST", "/volumes/create", "volumes:create"),
    Endpoint("POST", "/volumes/prune", "volumes:prune"),
    Endpoint("GET", "/volumes/{name}", "volumes:inspect"),
    Endpoint("PUT", "/volumes/{name}", "unsupported:cluster_volume"),
    Endpoint("DELETE", "/volumes/{name}", "volumes:remove"),
    Endpoint("POST", "/proa/volumes/{name}/rename", "volume_copies:rename"),
    Endpoint("POST", "/proa/volumes/{name}/clone", "volume_copies:clone"),
    Endpoint("POST", "/proa/volumes/{name}/snapshot", "volume_copies:snapshot"),
    Endpoint("GET", "/proa/volumes/{name}/archive", "volume_copies:read", abandonable=_WAITS),
    Endpoint("PUT", "/proa/volumes/{name}/archive", "volume_copies:write"),
    # Networks
    Endpoint("GET", "/networks", "networks:list_networks"),
    Endpoint("GET", "/networks/", "networks:list_networks"),
    Endpoint("POST", "/networks/create", "networks:create"),
    Endpoint("POST", "/networks/prune", "networks:prune"),
    Endpoint("POST", "/networks/{name}/connect", "networks:connect"),
    Endpoint("POST", "/networks/{name}/disconnect", "networks:disconnect"),
    Endpoint("GET", "/networks/{name}", "networks:inspect"),
    Endpoint("DELETE", "/networks/{name}", "networks:remove"),
    # Plugins: there are none
    Endpoint("GET", "/plugins", "unsupported:no_plugins"),
    Endpoint("GET", "/plugins/{name}/json", "unsupported:no_such_plugin"),
    Endpoint("GET", "/plugins/privileges", "unsupported:plugins"),
    Endpoint("POST", "/plugins/pull", "unsupported:plugins"),
    Endpoint("POST", "/plugins/create", "unsupported:plugins"),
    Endpoint("POST", "/plugins/{name}/enable", "unsupported:no_such_plugin"),
    Endpoint("POST", "/plugins/{name}/disable", "unsupported:no_such_plugin"),
    Endpoint("POST", "/plugins/{name}/upgrade", "unsupported:no_such_plugin"),
    Endpoint("POST", "/plugins/{name}/push", "unsupported:no_such_plugin"),
    Endpoint("POST", "/plugins/{name}/set", "unsupported:no_such_plugin"),
    Endpoint("DELETE", "/plugins/{name}", "unsupported:no_such_plugin"),
    # Swarm: this node is none
    Endpoint("GET", "/swarm", "unsupported:swarm"),
    Endpoint("POST", "/swarm/init", "unsupported:swarm_mode"),
    Endpoint("POST", "/swarm/join", "unsupported:swarm_mode"),
    Endpoint("POST", "/swarm/leave", "unsupported:no_swarm"),
    Endpoint("POST", "/swarm/update", "unsupported:swarm"),
    Endpoint("GET", "/swarm/unlockkey", "unsupported:swarm"),
    Endpoint("POST", "/swarm/unlock", "unsupported:swarm"),
    *(
        Endpoint(method, f"/{noun}{rest}", "unsupported:swarm")
        for noun, made, changed in (
            ("nodes", False, True), ("services", True, True), ("tasks", False, False), ("secrets", True, True),
            ("configs", True, True),
        )
        for method, rest, there in (
            ("GET", "", True), ("POST", "/create", made), ("GET", "/{name}", True), ("DELETE", "/{name}", changed),
            ("POST", "/{name}/update", changed),
        )
        if there
    ),
)  # fmt: skip
