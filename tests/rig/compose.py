"""Compose, unchanged, on one project: the plugin of today's docker CLI and the last one in Python."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from rig import cache
from rig.api import Api
from rig.clients import Client
from rig.engine import Engine
from rig.needs import need

PLUGIN = "docker compose"
PYTHON = "docker-compose"
# Debian 12 is the last to have the other: there it must work, elsewhere it is not asked for.
KINDS = [PLUGIN, PYTHON] if "=bookworm" in Path("/etc/os-release").read_text() else [PLUGIN]

# The shop sells what the database has: `api` starts only when that is there, `web` only when `api` has got it.
SHOP = """
services:
  db:
    image: busybox
    init: true
    command: sh -c "sleep 0.4; echo $${GOODS} > /data/goods; exec httpd -f -p 5432 -h /data"
    environment: {GOODS: "${GOODS:-apples}"}
    healthcheck: {test: [CMD, test, -f, /data/goods], interval: 100ms, timeout: 5s, retries: 100}
    volumes: ["data:/data"]
    networks:
      back: {aliases: [database]}
  api:
    image: busybox
    init: true
    command: sh -ec "wget -qO /www/goods http://database:5432/goods; exec httpd -f -p 80 -h /www"
    volumes: [/www]
    depends_on:
      db: {condition: service_healthy}
    healthcheck: {test: wget -qO- http://127.0.0.1/goods, interval: 100ms, timeout: 5s, retries: 100}
    networks: [back, front]
  web:
    image: busybox
    init: true
    command: sh -c "echo open; while :; do wget -qO- http://api/goods | nc -l -p 80; done"
    depends_on:
      api: {condition: service_healthy}
    ports: ["127.0.0.1::80"]
    networks: [front]
networks:
  front:
  back: {internal: true}
volumes:
  data:
"""


class Compose(Client):
    """Compose of one kind; `directory` has the file `compose.yaml`. What it makes starts with `project`."""

    def __init__(self, kind: str, engine: Engine, file: str, project: str = "shop") -> None:
        self.kind = kind
        self.project = project
        self.api = engine.api
        self.directory = Path(tempfile.mkdtemp(prefix="project-"))
        (self.directory / "compose.yaml").write_text(file)
        super().__init__("docker", engine.host, self.directory / "home")
        if kind == PLUGIN:
            self._plug_in()
        else:
            self.program = _find_python()

    def _plug_in(self) -> None:
        """Show the plugin to the docker CLI."""
        plugin = cache.directory() / "docker-compose/usr/libexec/docker/cli-plugins/docker-compose"
        need(plugin.exists(), "docker compose (scripts/get-docker compose)")
        plugins = self.home / "docker" / "cli-plugins"
        plugins.mkdir()
        (plugins / plugin.name).symlink_to(plugin)
        self.program.append("compose")

    def command(self, *arguments: str) -> list[str]:
        file = self.directory / "compose.yaml"
        plain = ["--progress", "plain"] if self.kind == PLUGIN else ["--no-ansi"]
        return [*self.program, *plain, "-p", self.project, "-f", str(file), *arguments]

    def container(self, service: str, number: int = 1) -> str:
        """What compose calls a service's container."""
        mark = "-" if self.kind == PLUGIN else "_"
        return f"{self.project}{mark}{service}{mark}{number}"

    def ids(self, service: str = "") -> list[str]:
        """The running containers of a service, or of all; `compose ps -q` of either kind tells of others."""
        labels = ["oneoff=False", f"project={self.project}", *([f"service={service}"] if service else [])]
        wanted = json.dumps({"label": [f"com.docker.compose.{label}" for label in labels]})
        return sorted(row["Id"] for row in self.api.get("/containers/json", filters=wanted).json)

    def state(self, container: str) -> Any:
        return self.api.get(f"/containers/{container}/json").json["State"]

    def happened(self, since: float) -> list[str]:
        """What was started and found healthy, in this order."""
        filters = json.dumps({"type": ["container"], "event": ["start", "health_status"]})
        body = self.api.get("/events", since=f"{since:.6f}", until=f"{time.time():.6f}", filters=filters).body
        events = [json.loads(line) for line in body.splitlines()]
        return [f"{each['Actor']['Attributes']['com.docker.compose.service']} {each['Action']}" for each in events]

    def found(self, name: str, service: str = "web") -> set[str]:
        """The addresses that a service finds under a name."""
        said = self("exec", "-T", service, "nslookup", "-type=a", name).out
        return {line.split()[1] for line in said.splitlines() if line.startswith("Address: 1")}

    def bought(self) -> str:
        """What a customer of the SHOP gets at its published port."""
        address, _, port = self.ok("port", "web", "80").strip().rpartition(":")
        assert address == "127.0.0.1"
        with socket.create_connection((address, int(port)), 10) as client, client.makefile() as answer:
            return answer.read()

    def close(self) -> None:
        self("down", "-v", "--remove-orphans", "-t", "0")
        shutil.rmtree(self.directory)


def _find_python() -> list[str]:
    program = shutil.which("docker-compose")
    need(program, "docker-compose 1.29 (package docker-compose)")
    assert program
    said = subprocess.run([program, "version", "--short"], capture_output=True, text=True, check=False).stdout
    need(re.match(r"1\.29\.", said), f"docker-compose 1.29, not {said.strip()}")
    return [program]


def left(api: Api) -> list[Any]:
    """Containers, volumes and networks that somebody made."""
    containers = api.get("/containers/json", all=1).json
    networks = api.get("/networks", filters='{"type":["custom"]}').json
    return [*containers, *api.get("/volumes").json["Volumes"], *networks]
