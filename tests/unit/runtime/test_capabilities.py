"""Which capabilities a container gets, and the kernel's sets."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from proa.errors import InvalidArgument
from proa.linux import capabilities as kernel
from proa.runtime.capabilities import normalize, select
from proa.runtime.defaults import CAPABILITIES

FULL = (1 << 41) - 1
DEFAULT = set(CAPABILITIES)


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        ([], [], DEFAULT),
        (["net_admin"], [], DEFAULT | {"CAP_NET_ADMIN"}),
        (["CAP_NET_ADMIN"], ["cap_net_raw", "MKNOD"], DEFAULT - {"CAP_NET_RAW", "CAP_MKNOD"} | {"CAP_NET_ADMIN"}),
        ([], ["all"], set()),
        (["chown", "sys_time"], ["ALL"], {"CAP_CHOWN", "CAP_SYS_TIME"}),
        (["ALL"], ["SYS_ADMIN"], set(kernel.NAMES) - {"CAP_SYS_ADMIN"}),
        (["CAP_ALL"], [], set(kernel.NAMES)),
        (["chown"], ["chown"], DEFAULT),
    ],
)
def test_add_and_drop(add: list[str], drop: list[str], expected: set[str]) -> None:
    chosen, warnings = select(add, drop, bounding=FULL)
    assert set(chosen) == expected & set(kernel.supported())
    assert chosen == sorted(chosen, key=kernel.NUMBERS.__getitem__)
    assert warnings == []


def test_privileged() -> None:
    assert select([], ["ALL"], privileged=True, bounding=FULL) == (list(kernel.supported()), [])


@pytest.mark.parametrize(
    ("add", "drop", "privileged", "warns"),
    [
        ([], [], False, False),
        (["sys_resource"], [], False, True),
        (["sys_resource"], ["all"], False, True),
        (["all"], [], False, True),
        (["all"], ["sys_resource"], False, False),
        ([], [], True, True),
    ],
)
def test_what_the_engine_lacks_is_discarded(
    add: list[str], drop: list[str], privileged: bool, warns: bool
) -> None:
    bounding = FULL & ~kernel.mask(["CAP_SYS_RESOURCE"])
    chosen, warnings = select(add, drop, privileged, bounding)
    assert "CAP_SYS_RESOURCE" not in chosen
    expected = "The engine does not have the capability CAP_SYS_RESOURCE. Capability discarded."
    assert warnings == ([expected] if warns else [])


@pytest.mark.parametrize("name", ["", "nonsense", "CAP_", "CAP_CAP_CHOWN", "CHOWN ", "allx"])
def test_unknown_names(name: str) -> None:
    full = name.upper() if name.upper().startswith("CAP_") else f"CAP_{name.upper()}"
    with pytest.raises(InvalidArgument) as caught:
        normalize([name], "CapAdd")
    assert caught.value.message == f'invalid CapAdd: unknown capability: "{full}"'
    with pytest.raises(InvalidArgument, match="invalid CapDrop: unknown"):
        select([], [name])


def test_table_matches_the_kernel() -> None:
    assert len(kernel.NAMES) == 41
    assert kernel.NUMBERS["CAP_SYS_ADMIN"] == 21
    assert kernel.NUMBERS["CAP_CHECKPOINT_RESTORE"] == 40
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    assert len(kernel.supported()) == min(last + 1, 41)
    lines = Path("/proc/self/status").read_text().splitlines()
    sets = dict(line.split(":\t") for line in lines if line.startswith("Cap"))
    assert kernel.bounding_set() == int(sets["CapBnd"], 16)
    assert kernel.get() == tuple(int(sets[name], 16) for name in ("CapEff", "CapPrm", "CapInh"))


def test_masks() -> None:
    assert kernel.mask(["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_CHOWN"]) == 1 | 1 << 21
    assert kernel.names(1 | 1 << 21 | 1 << 63) == ["CAP_CHOWN", "CAP_SYS_ADMIN"]
    with pytest.raises(ValueError, match="unknown capability 'CHOWN'"):
        kernel.mask(["CHOWN"])


def in_child(action: Callable[[], object]) -> dict[str, int]:
    """Return the Cap lines of a child's /proc/self/status after `action`."""
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        action()
        os.write(writing, Path("/proc/self/status").read_bytes())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    assert os.waitpid(pid, 0)[1] == 0
    pairs = (line.split(":\t") for line in text.splitlines() if line.startswith("Cap"))
    return {name: int(value, 16) for name, value in pairs}


@pytest.mark.usefixtures("root")
def test_sets_are_applied() -> None:
    few = ["CAP_CHOWN", "CAP_KILL"]

    def shrink() -> None:
        kernel.drop_bounding(["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"])
        kernel.apply(["CAP_CHOWN"], few, few, ["CAP_KILL"])

    assert in_child(shrink) == {
        "CapInh": kernel.mask(few),
        "CapPrm": kernel.mask(few),
        "CapEff": kernel.mask(["CAP_CHOWN"]),
        "CapBnd": kernel.mask([*few, "CAP_NET_RAW"]),
        "CapAmb": kernel.mask(["CAP_KILL"]),
    }


@pytest.mark.usefixtures("root")
def test_nothing_left() -> None:
    def shrink() -> None:
        kernel.drop_bounding([])
        kernel.apply([], [], [])

    assert set(in_child(shrink).values()) == {0}
