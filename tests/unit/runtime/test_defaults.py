"""The defaults hold together."""

from __future__ import annotations

import os
import stat

from proa.cgroups import devices
from proa.linux import capabilities
from proa.runtime import defaults


def test_capabilities_are_known() -> None:
    assert len(defaults.CAPABILITIES) == len(set(defaults.CAPABILITIES)) == 14
    assert capabilities.mask(defaults.CAPABILITIES) == 0xA80425FB  # what Docker's containers show as CapBnd


def test_device_nodes_are_the_hosts() -> None:
    for node in defaults.DEVICE_NODES:
        status = os.stat(node["path"])
        assert stat.S_ISCHR(status.st_mode)
        assert (os.major(status.st_rdev), os.minor(status.st_rdev)) == (node["major"], node["minor"])


def test_device_rules_allow_the_nodes_and_little_else() -> None:
    played = devices.parse(list(defaults.DEVICE_RULES))
    assert not played.allow_by_default
    for node in defaults.DEVICE_NODES:
        assert played.exceptions["c", node["major"], node["minor"]] == "rwm"
    assert [device for device in played.exceptions if device[0] == "b"] == [("b", -1, -1)]
    assert played.exceptions["b", -1, -1] == played.exceptions["c", -1, -1] == "m"
    assert ("c", 10, 229) not in played.exceptions


def test_mounts_come_after_what_they_are_on() -> None:
    places = [mount["destination"] for mount in defaults.MOUNTS]
    for index, place in enumerate(places):
        assert not any(later != place and place.startswith(f"{later}/") for later in places[index:])


def test_masked_paths() -> None:
    paths = defaults.masked_paths()
    assert len(paths) == len(set(paths))
    assert {"/proc/kcore", "/proc/keys", "/sys/firmware"} <= set(paths)
    assert not set(paths) & set(defaults.READONLY_PATHS)
