"""Names: what is accepted, Docker's words for what is not, and the ones we make up."""

from __future__ import annotations

import re

import pytest

from proa.engine import names
from proa.errors import InvalidArgument


@pytest.mark.parametrize("name", ["ab", "a1", "0_", "web-1.2_x", "A" * 300, "/web"])
def test_names_of_containers(name: str) -> None:
    assert names.validate_container_name(name) == name.removeprefix("/")


@pytest.mark.parametrize(
    "name", ["", "a", "/", "//ab", "_a", "-a", ".a", "a b", "a/b", "ab\n", "é1", "a\0", "a:b"]
)
def test_what_is_no_name_of_a_container(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        names.validate_container_name(name)
    assert caught.value.message == (f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")


@pytest.mark.parametrize("name", ["", "..", "_a", "a/b", "/abs", "ab\n", "a\0b"])
def test_what_is_no_name_of_a_volume(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        names.validate_volume_name(name)
    assert caught.value.message == (
        f'"{name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" '
        "are allowed. If you intended to pass a host directory, use absolute path"
    )


def test_lengths_of_volumes_names() -> None:
    assert names.validate_volume_name("a" * 255)
    with pytest.raises(InvalidArgument, match="too short, names should be at least two alphanumeric"):
        names.validate_volume_name("a")
    with pytest.raises(InvalidArgument, match="too long"):
        names.validate_volume_name("a" * 256)


def test_random_names_are_valid_and_differ() -> None:
    drawn = {names.random_name(lambda _: False) for _ in range(200)}
    assert len(drawn) > 150
    for name in drawn:
        assert re.fullmatch("[a-z]+_[a-z]+", name)
        assert names.validate_container_name(name) == name


def test_the_words_are_unique_and_in_order() -> None:
    for words in (names._ADJECTIVES, names._SURNAMES):
        assert list(words) == sorted(set(words))
        assert len(words) > 100


def test_taken_names_are_drawn_again() -> None:
    asked: list[str] = []

    def taken(name: str) -> bool:
        asked.append(name)
        return len(asked) < 3

    assert names.random_name(taken) == asked[2]
    assert re.fullmatch("[a-z]+_[a-z]+", asked[0])
    assert all(re.fullmatch("[a-z]+_[a-z]+[0-9]", name) for name in asked[1:])


def test_when_all_are_taken_there_is_an_identifier() -> None:
    assert re.fullmatch("[0-9a-f]{12}", names.random_name(lambda _: True))


@pytest.mark.parametrize(
    ("text", "number"),
    [("KILL", 9), ("SIGKILL", 9), ("sigkill", 9), ("kill", 9), ("9", 9), ("TERM", 15), ("HUP", 1),
     ("64", 64),
     ("RTMIN", 34), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("CLD", 17), ("WINCH", 28), ("IOT", 6),
     ("PWR", 30)],
)  # fmt: skip
def test_signals(text: str, number: int) -> None:
    assert names.parse_signal(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "0", "SIG", "SIGSIGKILL", "FOO", "-9", "9.0", "RTMIN-1", "RTMIN+99", "RTMAX+1", "SIG_DFL", "٩"],
)
def test_what_is_no_signal(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^invalid signal: "):
        names.parse_signal(text)


def test_a_signal_that_linux_has_not() -> None:
    with pytest.raises(InvalidArgument, match="the linux daemon does not support signal 65"):
        names.parse_signal("65")
