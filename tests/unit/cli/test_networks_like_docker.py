"""The network commands: what docker's own command line says and sends for the same words."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import Any

import pytest

from rig.clients import find
from rig.recorder import Recorder

from .answers import answer
from .conftest import Proa
from .test_like_docker import compare

SAME = """
run --network one --network host busybox
run --network bridge --network one busybox
run --network one --network one busybox
run --network-alias a busybox
run --network host --network-alias a busybox
run --network bridge --ip 1.2.3.4 --network two busybox
run --network name=one,alias=a --network-alias b busybox
run --network name=one,nosuch=a busybox
run --network name=one,link-local-ip=1.2.3.4 --link-local-ip 2.3.4.5 busybox
network create mine
network create
network create --ip-range 10.0.0.0/25 mine
network create --subnet 10.0.0.0/8 --subnet 10.1.0.0/16 mine
network create --subnet 10.0.0.0/24 --gateway 10.1.0.1 mine
network create --subnet 10.0.0.0/24 --subnet 10.0.1.0/24 --ip-range 10.0.0.0/25 --ip-range 10.0.0.128/25 mine
network create --subnet 10.0.0.0/24 --subnet 10.0.1.0/24 --gateway 10.0.0.1 --gateway 10.0.0.2 mine
network create --subnet 10.0.0.0/24 --aux-address a=10.2.0.1 mine
network create --subnet 10.0.0.0/24 --aux-address a mine
network create --subnet x mine
network create --label = mine
network create --ipv4=x mine
network connect web
network connect web one
network connect none one
network connect --driver-opt x web one
network connect --gw-priority x web one
network connect --link a:b:c web one
network disconnect web one
network disconnect none one
network rm web two
network rm web none two
network remove -f none web
network prune -f
network prune -f --filter x
""".strip().splitlines()

WORDS = [
    "create mine",
    "create -d macvlan -o parent=eth0 -o macvlan_mode=bridge --internal --attachable --scope local mine",
    "create --ipv6 --ipv4=false --label a=b --label c --ipam-driver default --ipam-opt x=y mine",
    "create --ipv4 --ipv6=false mine",
    "create --config-only mine",
    "create --config-from other mine",
    "create --subnet 10.0.0.0/24 --gateway 10.0.0.9 --ip-range 10.0.0.128/25 --aux-address a=10.0.0.3 mine",
    "create --subnet 10.0.0.0/24 --aux-address a=10.0.0.3 --aux-address b=10.0.0.4 mine",
    "create --subnet fd00::/64 --gateway fd00::9 --ipv6 mine",
    "connect web one",
    "connect --ip 10.0.0.9 --ip6 fd00::9 --link-local-ip 169.254.1.1,169.254.1.2 web one",
    "connect --alias a,b --alias c --link x:y --link z --gw-priority -5 web one",
    "connect --driver-opt a=b --driver-opt 'C = d' web one",
    "disconnect web one",
    "disconnect -f web one",
]


@pytest.mark.parametrize("words", SAME)
def test_same(words: str, engine: Recorder, proa: Proa) -> None:
    compare(words, answer(engine), proa)


def meaning(value: Any) -> Any:
    """Return `value` without the fields that say nothing: docker sends all, proa none."""
    if isinstance(value, dict):
        kept = {name: meaning(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if name.startswith("Enable") or inner}
    return [meaning(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("words", WORDS)
def test_body_is_dockers(words: str, engine: Recorder, proa: Proa) -> None:
    def asked() -> tuple[str, Any]:
        request = engine.requests[-1]
        return str(request), meaning(request.json)

    arguments = ["network", *shlex.split(words)]
    answer(engine)
    environment = {**os.environ, "DOCKER_HOST": engine.url}
    done = subprocess.run([*find("docker"), *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = asked()
    assert proa(*arguments) == (0, done.stdout, "")
    assert asked() == expected
