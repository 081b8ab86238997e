"""The body of `POST /containers/create`: what docker's own command line sends for the same words.

Fields that say nothing (zero, empty, false) are left out on both sides: docker sends all, proa none.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rig.clients import find
from rig.recorder import Recorder

from .conftest import Proa

PROFILE = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}

FLAGS = [
    "busybox",
    "busybox echo -n --rm hello",
    "-it busybox",
    "-i busybox",
    "-t busybox",
    "-i -a stdout busybox",
    "-a stdin -a STDERR busybox",
    "-e A=b -e PROA_TEST_SET -e PROA_TEST_UNSET -e C= busybox env",
    "--env-file FILES/env -e A=override busybox",
    "-l a=b -l c --label d=e=f --label-file FILES/labels busybox",
    "-u 1:2 -w /tmp --hostname h --domainname d --entrypoint /bin/sh busybox -c true",
    "--entrypoint= busybox",
    "--name n --rm --init --read-only --privileged busybox",
    "--stop-signal SIGUSR1 --stop-timeout 0 busybox",
    "-v /a:/b -v ./here:/there:ro -v name:/n:nocopy -v /anonymous busybox",
    "--tmpfs /x --tmpfs /y:rw,size=64m busybox",
    "--mount type=bind,src=/a,dst=/b,ro --mount type=volume,source=v,target=/v busybox",
    "--mount type=bind,source=.,target=/b,bind-propagation=rslave,bind-nonrecursive busybox",
    "--mount type=bind,source=/,target=/b,readonly,bind-recursive=readonly,bind-propagation=rprivate busybox",
    "--mount type=bind,source=/,target=/b,readonly=true,bind-recursive=writable busybox",
    "--mount type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=700 busybox",
    "--mount target=/v,volume-nocopy,volume-label=a=b,volume-driver=local,volume-opt=type=tmpfs busybox",
    '--mount \'type=volume,target=/v,"volume-opt=o=size=1m,uid=1"\' busybox',
    "--mount type=volume,source=v,target=/v,volume-subpath=sub busybox",
    "--cap-add NET_ADMIN --cap-add all --cap-drop MKNOD busybox",
    "--cap-add all --cap-drop all --cap-add cap_chown --cap-drop CHOWN --cap-drop kill busybox",
    "--security-opt no-new-privileges --security-opt seccomp=unconfined --security-opt label:disable busybox",
    "--security-opt seccomp=FILES/seccomp.json --security-opt apparmor=x busybox",
    "--security-opt systempaths=unconfined busybox",
    "--device /dev/null --device /dev/zero:/dev/x --device /dev/full:r --device /dev/tty:/dev/y:rw busybox",
    "--device vendor.com/class=name busybox",
    "--device-cgroup-rule 'c 1:3 rwm' --device-read-bps /dev/sda:1mb --device-write-iops /dev/sda:5 busybox",
    "--device-write-bps /dev/sda:1 --device-read-iops /dev/sda:7 --blkio-weight-device /dev/sda:10 busybox",
    "--ulimit nofile=1:2 --ulimit core=-1 --ulimit nofile=3 busybox",
    "--sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=1 busybox",
    "-m 64m --memory-swap -1 --memory-reservation 1.5g --memory-swappiness 0 --shm-size 1k busybox",
    "--cpus 1.5 -c 512 --cpuset-cpus 0-1 --cpuset-mems 0 --cpu-period 100 --cpu-quota 50 busybox",
    "--cpus .25 --cpu-rt-period 5 --cpu-rt-runtime 6 busybox",
    "--pids-limit -1 --blkio-weight 500 --oom-score-adj -5 --oom-kill-disable busybox",
    "--runtime runc --annotation a=b --annotation c= --cgroup-parent /x --cgroupns private busybox",
    "--ipc host --pid host --uts host --userns host busybox",
    "--pid container:x --ipc container:y busybox",
    "--network none busybox",
    "--network host busybox",
    "--network container:other busybox",
    "--network mine --network-alias a --network-alias b --ip 172.20.0.3 --ip6 2001:db8::3 busybox",
    "--network name=one,alias=a,ip=10.0.0.2,driver-opt=k=v --network two busybox",
    "--mac-address 92:d0:c6:0a:29:33 busybox",
    "--network bridge --mac-address 92:d0:c6:0a:29:33 --link-local-ip 169.254.1.1 busybox",
    "--link other:alias busybox",
    "--dns 1.1.1.1 --dns ::1 --dns-search example.com --dns-search . --dns-option ndots:1 busybox",
    "--add-host a:1.2.3.4 --add-host b=host-gateway --add-host c=[::1] --add-host d:::2 busybox",
    "-p 80 -p 8080:81 -p 127.0.0.1::82 -p 127.0.0.1:83:83/udp -p 90-91:90-91 -p [::1]:84:84 busybox",
    "-p 8000-8010:80 -P --expose 1 --expose 2-4/udp busybox",
    "--restart on-failure:3 busybox",
    "--restart always busybox",
    "--health-cmd 'curl x' --health-interval 1m30s --health-timeout 5s --health-retries 3 busybox",
    "--health-start-period 1h --health-start-interval 2s busybox",
    "--no-healthcheck busybox",
    "--gpus all busybox",
    "--gpus 2 busybox",
    '--gpus \'"device=0,1",driver=nvidia\' busybox',
    "--log-driver json-file --log-opt max-size=1m busybox",
    "-v name:/n --volume-driver local busybox",
    "-v /anonymous --volume-driver local busybox",
    "-v /a:/b -v name:/n:ro --volume-driver other busybox",
    "--mount type=volume,source=v,target=/v --volume-driver local busybox",
    "--volumes-from x:ro --volume-driver local --group-add 5 --group-add wheel busybox",
    "--storage-opt size=1G --isolation default --kernel-memory 4m busybox",
    "--platform linux/arm64 busybox",
    "busybox@sha256:" + "a" * 64,
    "a.b:5000/c/d:e_F",
    "--pull never -q --disable-content-trust --cidfile FILES/CLIENT.cid busybox",
    "-eA=b -w=/x -tiu root -- busybox -x",
    "-h=name --env=X busybox",
]  # fmt: skip


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "files"
    directory.mkdir()
    (directory / "env").write_text(
        "\ufeffA=1\n# no\n\n  B = 2\nPROA_TEST_SET\nPROA_TEST_UNSET\nD=a#b\r\n".replace("B = 2", "B=2 ")
    )
    (directory / "labels").write_text("x=y\nz\n")
    (directory / "seccomp.json").write_text(json.dumps(PROFILE, indent=2))
    monkeypatch.setenv("PROA_TEST_SET", "from here")
    monkeypatch.delenv("PROA_TEST_UNSET", raising=False)
    monkeypatch.chdir(directory)
    return directory


def meaning(value: Any) -> Any:
    """Return `value` without the fields that say nothing."""
    if isinstance(value, dict):
        kept = {name: meaning(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if not _nothing(name, inner)}
    return [meaning(inner) for inner in value] if isinstance(value, list) else value


def _nothing(name: str, value: Any) -> bool:
    if name in ("MaskedPaths", "ReadonlyPaths"):
        return value is None  # an empty list takes the default away
    if name == "StopTimeout":
        return value is None
    return value in (None, "", 0, False, [], {}, [0, 0]) or (name, value) in (
        ("MemorySwappiness", -1), ("RestartPolicy", {"Name": "no"}),
    )  # fmt: skip


@pytest.mark.parametrize("words", FLAGS)
def test_body_is_dockers(words: str, engine: Recorder, proa: Proa, files: Path) -> None:
    import shlex

    def asked(client: str) -> tuple[Any, dict[str, str]]:
        request = engine.requests[-1]
        assert str(request) == "POST /containers/create", [str(one) for one in engine.requests]
        body = meaning(request.json)
        body.get("HostConfig", {}).pop("ContainerIDFile", None)
        body.get("HostConfig", {}).pop("KernelMemory", None)  # docker drops it for engines since API 1.42
        body.get("Env", []).sort()  # docker's order of these is random
        body.get("HostConfig", {}).get("Binds", []).sort()
        # docker repeats in the settings of networks what stands elsewhere, or sends them empty
        networks = body.get("NetworkingConfig", {}).get("EndpointsConfig", {})
        if not any(networks.values()) and len(networks) < 2:
            body.pop("NetworkingConfig", None)
        return body, request.query

    arguments = shlex.split(words.replace("FILES", str(files)))
    docker = [word.replace("CLIENT", "docker") for word in arguments]
    environment = {**os.environ, "DOCKER_HOST": engine.url}
    done = subprocess.run([*find("docker"), "create", *docker], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = asked("docker")
    outcome = proa("create", *(word.replace("CLIENT", "proa") for word in arguments))
    assert outcome == (0, done.stdout, ""), outcome
    assert asked("proa") == expected
