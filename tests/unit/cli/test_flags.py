"""Flags as pflag reads them."""
# ruff: noqa: E501

from __future__ import annotations

import pytest

from proa.cli.flags import FlagError, HelpRequested, parse

FLAGS = (
    ("all", "a", "", ""),
    ("interactive", "i", "", ""),
    ("env", "e", "list", ""),
    ("name", "n", "string", ""),
    ("last", "", "int", "", "", -1),
    ("weight", "w", "uint16", ""),
    ("memory", "m", "bytes", "", "sizes.memory"),
)

PARSED = [
    ([], {}, []),
    (["x", "y"], {}, ["x", "y"]),
    (["-a", "x"], {"all": True}, ["x"]),
    (["x", "-a"], {"all": True}, ["x"]),
    (["--all=false"], {"all": False}, []),
    (["--all=T"], {"all": True}, []),
    (["-a=0"], {"all": False}, []),
    (["-ai"], {"all": True, "interactive": True}, []),
    (["-aie", "A=b"], {"all": True, "interactive": True, "env": ["A=b"]}, []),
    (["-eA=b", "-e", "C", "--env=D=", "--env", ""], {"env": ["A=b", "C", "D=", ""]}, []),
    (["-e=A=b"], {"env": ["A=b"]}, []),
    (["-n-a"], {"name": "-a"}, []),
    (["-n", "-a"], {"name": "-a"}, []),
    (["--name", "--", "x"], {"name": "--"}, ["x"]),
    (["-n", "1", "-n", "2"], {"name": "2"}, []),
    (["--name="], {"name": ""}, []),
    (["-a", "--", "-i", "--", "x"], {"all": True}, ["-i", "--", "x"]),
    (["-"], {}, ["-"]),
    (["--last", "-5"], {"last": -5}, []),
    (["--last=0x10"], {"last": 16}, []),
    (["-m", "1k"], {"memory": 1024}, []),
]

WRONG = [
    (["--nope"], "unknown flag: --nope"),
    (["--nope=1"], "unknown flag: --nope"),
    (["-x"], "unknown shorthand flag: 'x' in -x"),
    (["-ax"], "unknown shorthand flag: 'x' in -ax"),
    (["--name"], "flag needs an argument: --name"),
    (["-n"], "flag needs an argument: 'n' in -n"),
    (["-an"], "flag needs an argument: 'n' in -an"),
    (["--=x"], "bad flag syntax: --=x"),
    (["---a"], "bad flag syntax: ---a"),
    (["--all=x"], 'invalid argument "x" for "-a, --all" flag: strconv.ParseBool: parsing "x": invalid syntax'),
    (["--last", "x"], 'invalid argument "x" for "--last" flag: strconv.ParseInt: parsing "x": invalid syntax'),
    (
        ["--last", str(1 << 63)],
        f'invalid argument "{1 << 63}" for "--last" flag: strconv.ParseInt: parsing "{1 << 63}": value out of range',
    ),
    (
        ["-w", "-1"],
        'invalid argument "-1" for "-w, --weight" flag: strconv.ParseUint: parsing "-1": invalid syntax',
    ),
    (["-m", 'a"'], 'invalid argument "a\\"" for "-m, --memory" flag: invalid size: \'a"\''),
]


@pytest.mark.parametrize(("words", "values", "arguments"), PARSED)
def test_parse(words: list[str], values: dict[str, object], arguments: list[str]) -> None:
    options, rest = parse(FLAGS, words, interspersed=True)
    assert options.values == values
    assert rest == arguments


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_wrong(words: list[str], message: str) -> None:
    with pytest.raises(FlagError) as caught:
        parse(FLAGS, words, interspersed=True)
    assert str(caught.value) == message


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["-ah"], ["x", "--help"]])
def test_help(words: list[str]) -> None:
    with pytest.raises(HelpRequested):
        parse(FLAGS, words, interspersed=True)


def test_flags_end_at_an_argument() -> None:
    options, rest = parse(FLAGS, ["-a", "image", "-i", "--nope", "--"], interspersed=False)
    assert options.values == {"all": True}
    assert rest == ["image", "-i", "--nope", "--"]


def test_defaults() -> None:
    options, _ = parse(FLAGS, ["-a"], interspersed=True)
    assert [options[flag[0]] for flag in FLAGS] == [True, False, [], "", -1, 0, None]
    assert options.given("all")
    assert not options.given("last")
