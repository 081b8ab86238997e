"""Compose, both kinds of it: what its files say of networks and dependencies."""

from __future__ import annotations

import socket
from collections.abc import Callable

from rig.compose import PLUGIN, Compose, left
from rig.engine import Engine, eventually

ALONE = """
services:
  main:
    image: busybox
    command: sh -c "hostname > /tmp/me; exec httpd -f -p 80 -h /tmp"
    hostname: main-host
    dns_search: [example.test]
    init: true
    networks:
      lan: {ipv4_address: 10.214.0.77, aliases: [boss]}
      outer:
  beside:
    image: busybox
    init: true
    command: sleep 1000
    network_mode: "service:main"
    depends_on: [main]
  island:
    image: busybox
    init: true
    command: sleep 1000
    network_mode: none
  guest:
    image: busybox
    init: true
    command: sleep 1000
    network_mode: host
  linked:
    image: busybox
    init: true
    command: sleep 1000
    networks: [lan]
    links: ["main:chief"]
    extra_hosts: ["elsewhere:192.0.2.7"]
networks:
  lan:
    ipam: {config: [{subnet: 10.214.0.0/24, gateway: 10.214.0.9}]}
    driver_opts: {com.docker.network.driver.mtu: "1400"}
    labels: {kind: inner}
  outer: {external: true}
"""


def test_networks_of_choice(project: Callable[..., Compose], engine: Engine) -> None:
    compose = project(ALONE)
    assert "outer" in compose.fails("up", "-d"), "it is somebody else's to make"
    outer = engine.api.post("/networks/create", {"Name": "outer"}).json["Id"]
    compose.ok("up", "-d")
    assert compose.ok("exec", "-T", "beside", "wget", "-qO-", "http://127.0.0.1/me") == "main-host\n"
    assert compose.found("boss", "linked") == compose.found("chief", "linked") == {"10.214.0.77"}
    links = compose.ok("exec", "-T", "linked", "ip", "-o", "link")
    assert "mtu 1400" in links
    assert "via 10.214.0.9" in compose.ok("exec", "-T", "linked", "ip", "route")
    assert "192.0.2.7\telsewhere" in compose.ok("exec", "-T", "linked", "cat", "/etc/hosts")
    assert "search example.test" in compose.ok("exec", "-T", "main", "cat", "/etc/resolv.conf")
    assert compose.ok("exec", "-T", "island", "ls", "/sys/class/net") == "lo\n"
    assert compose.ok("exec", "-T", "guest", "hostname").strip() == socket.gethostname()
    assert [row["Name"] for row in engine.api.get("/networks", filters='{"label":["kind=inner"]}').json] == [
        "shop_lan"
    ]
    compose.ok("down", "-v", "-t", "0")
    assert [row["Id"] for row in left(compose.api)] == [outer]


ENDS = """
services:
  prepare:
    image: busybox
    command: sh -c 'echo done > /shared/said; exit ${CODE:-0}'
    volumes: ["shared:/shared"]
  work:
    image: busybox
    command: sh -c "cat /shared/said; exit 3"
    volumes: ["shared:/shared:ro"]
    depends_on:
      prepare: {condition: service_completed_successfully}
volumes:
  shared:
"""


def test_dependencies_that_end(project: Callable[..., Compose], engine: Engine) -> None:
    compose = project(ENDS)
    created = {PLUGIN: 200}.get(compose.kind, 404)  # the other makes containers when their time has come
    compose.ok("up", "-d")
    eventually(lambda: compose.state(compose.container("work"))["ExitCode"] == 3)
    assert compose.ok("logs", "--no-color", "work").split("|")[1].strip() == "done"
    compose.ok("down", "-v")
    failed = compose("up", "-d", env={"CODE": "5"})
    assert failed.code == 1 and compose.container("prepare") in failed.err + failed.out, str(failed)
    assert engine.api.get(f"/containers/{compose.container('work')}/json").status == created


SICK = """
services:
  sick:
    image: busybox
    init: true
    command: sleep 1000
    healthcheck: {test: "false", interval: 100ms, retries: 2}
  waits: {image: busybox, command: "true", depends_on: {sick: {condition: service_healthy}}}
"""


def test_a_dependency_that_is_unhealthy(project: Callable[..., Compose], engine: Engine) -> None:
    compose = project(SICK)
    failed = compose("up", "-d")
    assert failed.code == 1 and "is unhealthy" in failed.err, str(failed)
    assert compose.ids("waits") == []
