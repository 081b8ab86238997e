"""The bodies of the network commands: what docker's own command line sends for the same words."""

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
