"""`info` and `version`: what is said of the engine is docker's, line by line."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from rig.clients import docker_version, find
from rig.needs import need
from rig.recorder import Recorder, Reply, error

from .conftest import Outcome, Proa

INFO: dict[str, Any] = {
    "ID": "x-y",
    "Containers": 3,
    "ContainersRunning": 1,
    "ContainersPaused": 1,
    "ContainersStopped": 1,
    "Images": 5,
    "Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"], ["Supports d_type", "true"]],
    "SystemStatus": None,
    "Plugins": {
        "Volume": ["local"],
        "Network": ["bridge", "host"],
        "Authorization": ["authz"],
        "Log": ["json-file", "local"],
    },
    "MemoryLimit": True,
    "SwapLimit": False,
    "CpuCfsPeriod": True,
    "CpuCfsQuota": True,
    "CPUShares": True,
    "CPUSet": True,
    "PidsLimit": True,
    "IPv4Forwarding": True,
    "Debug": True,
    "NFd": 23,
    "OomKillDisable": False,
    "NGoroutines": 40,
    "SystemTime": "2026-01-02T03:04:05.678Z",
    "LoggingDriver": "json-file",
    "CgroupDriver": "cgroupfs",
    "CgroupVersion": "1",
    "NEventsListener": 2,
    "KernelVersion": "6.1",
    "OperatingSystem": "Debian",
    "OSVersion": "12",
    "OSType": "linux",
    "Architecture": "x86_64",
    "IndexServerAddress": "https://index.docker.io/v1/",
    "RegistryConfig": {
        "IndexConfigs": {
            "docker.io": {"Name": "docker.io", "Mirrors": ["https://m/"], "Secure": True, "Official": True},
            "r:5": {"Name": "r:5", "Secure": False},
        },
        "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"],
        "Mirrors": ["https://m/"],
    },
    "NCPU": 2,
    "MemTotal": 4123456789,
    "GenericResources": [],
    "DockerRootDir": "/var/lib/docker",
    "HttpProxy": "http://p",
    "HttpsProxy": "https://p",
    "NoProxy": "x",
    "Name": "host",
    "Labels": ["a=b", "c=d"],
    "ExperimentalBuild": True,
    "ServerVersion": "28.2.2",
    "Runtimes": {"runc": {"path": "runc"}},
    "DefaultRuntime": "runc",
    "Swarm": {"NodeID": "", "LocalNodeState": "inactive"},
    "LiveRestoreEnabled": True,
    "Isolation": "",
    "InitBinary": "docker-init",
    "ContainerdCommit": {"ID": "abc"},
    "RuncCommit": {"ID": "def"},
    "InitCommit": {"ID": "ghi"},
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
    "ProductLicense": "Community Engine",
    "DefaultAddressPools": [{"Base": "10.0.0.0/8", "Size": 24}],
    "FirewallBackend": {"Driver": "iptables", "Info": [["ReloadedAt", "x"]]},
    "CDISpecDirs": ["/etc/cdi", "/var/run/cdi"],
    "DiscoveredDevices": [{"Source": "cdi", "ID": "v/c=n"}],
    "Containerd": {"Address": "/run/c.sock", "Namespaces": {"Containers": "moby", "Plugins": "p"}},
    "Warnings": ["WARNING: No swap limit support", "WARNING: x"],
}
VERSION: dict[str, Any] = {
    "Platform": {"Name": "Docker Engine - Community"},
    "Components": [
        {
            "Name": "Engine",
            "Version": "28.2.2",
            "Details": {
                "ApiVersion": "1.50",
                "Arch": "amd64",
                "BuildTime": "2025-05-30T12:07:27.000000000+00:00",
                "Experimental": "false",
                "GitCommit": "45873be",
                "GoVersion": "go1.24.3",
                "KernelVersion": "6.1",
                "MinAPIVersion": "1.24",
                "Os": "linux",
            },
        },
        {"Name": "containerd", "Version": "1.7.27", "Details": {"GitCommit": "05044ec"}},
        {"Name": "runc", "Version": "1.2.5", "Details": {"GitCommit": "v1.2.5-0"}},
    ],
    "Version": "28.2.2",
    "ApiVersion": "1.50",
    "MinAPIVersion": "1.24",
    "GitCommit": "45873be",
    "GoVersion": "go1.24.3",
    "Os": "linux",
    "Arch": "amd64",
    "KernelVersion": "6.1",
    "BuildTime": "2025",
}


def docker(engine: Recorder, *words: str) -> Outcome:
    program = find("docker")
    need(docker_version(program) >= (28,), "docker 28")
    done = subprocess.run(
        [*program, *words],
        env={**os.environ, "DOCKER_HOST": engine.url},
        capture_output=True,
        text=True,
        timeout=30,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def server(outcome: Outcome) -> tuple[int, str, str]:
    """Without what the client says of itself."""
    client, separator, rest = outcome.out.partition("\n\nServer:")
    assert client.startswith("Client:\n Version:  ")
    return outcome.code, separator + rest, outcome.err


@pytest.fixture
def engine(engine: Recorder) -> Recorder:
    return engine.on("GET /info", Reply(value=INFO)).on("GET /version", Reply(value=VERSION))


@pytest.mark.parametrize("command", ["info", "version"])
def test_text(command: str, engine: Recorder, proa: Proa) -> None:
    assert server(proa(command)) == server(docker(engine, command))


@pytest.mark.parametrize("command", ["info", "version"])
def test_the_engine_fails(command: str, engine: Recorder, proa: Proa) -> None:
    """What the client knows is said all the same."""
    engine.on(f"GET /{command}", error(500, "it broke"))
    ours, theirs = proa(command), docker(engine, command)
    assert (ours.code, ours.err) == (theirs.code, theirs.err)
    assert ours.out.startswith("Client:")
    assert ours.out.endswith("Server:\n") == theirs.out.endswith("Server:\n")


FORMATS = [
    "{{.ServerVersion}} {{.Driver}} {{.Swarm.LocalNodeState}} {{len .Warnings}} {{.ClientInfo.Context}}",
    "{{json .Plugins}} {{.NCPU}} {{.MemTotal}} {{.SecurityOptions}}",
    "{{range .DriverStatus}}{{index . 0}}={{index . 1}};{{end}}",
    "{{.ServerVersion",
]


@pytest.mark.parametrize("form", FORMATS)
def test_info_by_template(form: str, engine: Recorder, proa: Proa) -> None:
    assert proa("info", "-f", form) == docker(engine, "info", "-f", form)


def test_version_by_template(engine: Recorder, proa: Proa) -> None:
    form = "{{.Server.Version}} {{.Server.Os}} {{.Server.Platform.Name}} {{.Server.APIVersion}} {{.Client.Os}}"
    assert proa("version", "-f", form) == docker(engine, "version", "-f", form)
    assert proa("version", "-f", "{{(index .Server.Components 0).Details.BuildTime}}").out == (
        "Fri May 30 12:07:27 2025\n"
    )
    engine.on("GET /version", error(500, "it broke"))
    form = "{{.Server.Version}}"
    assert proa("version", "-f", form) == docker(engine, "version", "-f", form)
