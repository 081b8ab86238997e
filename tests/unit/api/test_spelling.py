"""Fields in any case, as Go's decoder takes them; names that are data stay."""

from __future__ import annotations

from typing import Any

import pytest

from proa.api.spelling import corrected
from proa.api.types.base import Wire
from proa.api.types.containers import CreateBody, ExecConfig

CASES: dict[str, tuple[type[Wire], dict[str, Any], dict[str, Any]]] = {
    "of docker-py": (ExecConfig, {"detachKeys": "ctrl-p", "Cmd": ["x"]}, {"DetachKeys": "ctrl-p", "Cmd": ["x"]}),
    "nested": (CreateBody, {"hostconfig": {"MEMORY": 1}}, {"HostConfig": {"Memory": 1}}),
    "in a list": (
        CreateBody,
        {"HostConfig": {"Mounts": [{"target": "/x", "bindOptions": {"propagation": "rshared"}}]}},
        {"HostConfig": {"Mounts": [{"Target": "/x", "BindOptions": {"Propagation": "rshared"}}]}},
    ),
    "in a map": (
        CreateBody,
        {"NetworkingConfig": {"endpointsConfig": {"cmd": {"ipamConfig": {"ipv4address": "10.0.0.2"}}}}},
        {"NetworkingConfig": {"EndpointsConfig": {"cmd": {"IPAMConfig": {"IPv4Address": "10.0.0.2"}}}}},
    ),
    "data": (CreateBody, {"Labels": {"cmd": "x", "ENV": "y"}}, {"Labels": {"cmd": "x", "ENV": "y"}}),
    "the last wins": (CreateBody, {"Image": "a", "image": "b"}, {"Image": "b"}),
    "unknown": (CreateBody, {"nosuch": 1, "NoSuch": 2}, {"nosuch": 1, "NoSuch": 2}),
    "wrong types are the decoder's": (
        CreateBody,
        {"HostConfig": [], "Cmd": {"a": 1}, "NetworkingConfig": {"EndpointsConfig": "x"}},
        {"HostConfig": [], "Cmd": {"a": 1}, "NetworkingConfig": {"EndpointsConfig": "x"}},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_corrected(case: str) -> None:
    kind, document, expected = CASES[case]
    assert corrected(document, kind) == expected
