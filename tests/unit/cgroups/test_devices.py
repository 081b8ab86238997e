"""Device rules played as the kernel's v1 controller plays them, and the BPF program that decides alike."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import pytest

from proa.cgroups import devices
from proa.errors import InvalidArgument
from proa.linux import bpf


def rule(text: str) -> dict[str, Any]:
    """Make a rule of "+ c 1:3 rw" or "- a"."""
    sign, kind, *rest = text.split()
    made: dict[str, Any] = {"allow": sign == "+", "type": kind}
    if rest:
        major, minor = rest[0].split(":")
        made |= {key: int(value) for key, value in (("major", major), ("minor", minor)) if value != "*"}
        made["access"] = rest[1]
    return made


CASES = [
    ([], False, {}),
    (["+ a"], True, {}),
    (["- a", "+ c 1:3 rwm"], False, {("c", 1, 3): "rwm"}),
    (["- a", "+ c 1:3 r", "+ c 1:3 w"], False, {("c", 1, 3): "rw"}),
    (["- a", "+ c 1:3 rwm", "- c 1:3 w"], False, {("c", 1, 3): "rm"}),
    (["- a", "+ c 1:3 rw", "- c 1:3 rw"], False, {}),
    (["- a", "- c 10:229 rwm"], False, {}),
    (["- a", "+ c 1:3 rw", "+ a"], True, {}),
    (["+ a", "- c 1:* m", "- b *:* rwm"], True, {("c", 1, -1): "m", ("b", -1, -1): "rwm"}),
    (["+ a", "- c 1:3 rwm", "+ c 1:3 r"], True, {("c", 1, 3): "wm"}),
    (["+ c *:* m", "+ c 1:3 r"], False, {("c", -1, -1): "m", ("c", 1, 3): "r"}),
]


@pytest.mark.parametrize(("texts", "allow", "exceptions"), CASES)
def test_rules(texts: list[str], allow: bool, exceptions: dict[devices.Device, str]) -> None:
    played = devices.parse([rule(text) for text in texts])
    assert (played.allow_by_default, played.exceptions) == (allow, exceptions)


@pytest.mark.parametrize(
    "texts",
    [["+ c *:* rwm", "- c 10:229 rwm"], ["+ c 10:* r", "- c 10:229 r"], ["+ a", "- c *:* m", "+ c 1:3 m"]],
)
def test_holes_in_wildcards_are_refused(texts: list[str]) -> None:
    with pytest.raises(InvalidArgument, match="would punch a hole"):
        devices.parse([rule(text) for text in texts])


@pytest.mark.parametrize("bad", [{"type": "x"}, {"type": "p", "access": "r"}, {"type": "c", "access": "rx"}])
def test_bad_rules(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="invalid device rule"):
        devices.parse([bad])


def test_v1_commands() -> None:
    played = devices.parse([rule("- a"), rule("+ c 1:3 rwm"), rule("+ b *:* m")])
    assert devices.v1_commands(played) == [
        ("devices.deny", "a"),
        ("devices.allow", "c 1:3 rwm"),
        ("devices.allow", "b *:* m"),
    ]
    assert devices.v1_commands(devices.parse([rule("+ a")])) == [("devices.allow", "a")]


def run(program: bytes, kind: int, access: int, major: int, minor: int) -> int:
    """Interpret the few eBPF instructions that device programs use (bpf/instruction-set.rst)."""
    context = struct.pack("=III", access << 16 | kind, major, minor)
    registers = [0] * 11
    at = 0
    while True:
        code, both, offset, immediate = struct.unpack_from("=BBhi", program, at * 8)
        to, source = both & 15, both >> 4
        at += 1
        match code:
            case 0x61:
                assert source == 1
                (registers[to],) = struct.unpack_from("=I", context, offset)
            case 0xBC:
                registers[to] = registers[source]
            case 0x54:
                registers[to] &= immediate & 0xFFFFFFFF
            case 0x74:
                registers[to] >>= immediate
            case 0xB7:
                registers[to] = immediate
            case 0x15:
                at += offset if registers[to] == immediate else 0
            case 0x55:
                at += offset if registers[to] != immediate else 0
            case 0x95:
                return registers[0]
            case _:
                raise AssertionError(f"unexpected instruction {code:#x}")


def decide(played: devices.DeviceList, kind: str, access: int, major: int, minor: int) -> bool:
    """The rule of security/device_cgroup.c, told in Python."""
    bits = {"m": 1, "r": 2, "w": 4}
    for (its_kind, its_major, its_minor), letters in played.exceptions.items():
        named = sum(bits[letter] for letter in letters)
        if kind == its_kind and its_major in (-1, major) and its_minor in (-1, minor):
            if played.allow_by_default and named & access:
                return False
            if not played.allow_by_default and access & ~named == 0:
                return True
    return played.allow_by_default


@pytest.mark.parametrize("texts", [case[0] for case in CASES])
def test_program_decides_like_the_kernels_v1_controller(texts: list[str]) -> None:
    played = devices.parse([rule(text) for text in texts])
    program = bpf.device_program(played.allow_by_default, list(played.exceptions.items()))
    assert len(program) % 8 == 0
    for kind, access, major, minor in itertools.product("bc", range(1, 8), (0, 1, 10), (0, 3, 229)):
        number = {"b": 1, "c": 2}[kind]
        assert run(program, number, access, major, minor) == decide(played, kind, access, major, minor)
