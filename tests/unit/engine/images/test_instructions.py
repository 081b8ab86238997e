"""`--change`: instructions, their words and their mistakes, in Docker's results and messages."""

from __future__ import annotations

from typing import Any

import pytest

from proa.engine.images.instructions import apply
from proa.engine.images.words import expand, split
from proa.errors import InvalidArgument

SECOND = 10**9

# Lines, and the configuration that they make of an empty one.
GOOD: list[tuple[list[str], dict[str, Any]]] = [
    (["CMD echo hello"], {"Cmd": ["/bin/sh", "-c", "echo hello"]}),
    (['CMD ["echo", "a b", "\\u00e4"]'], {"Cmd": ["echo", "a b", "ä"]}),
    (["CMD ['echo']"], {"Cmd": ["/bin/sh", "-c", "['echo']"]}),
    (["CMD []"], {"Cmd": []}),
    (["cmd top"], {"Cmd": ["/bin/sh", "-c", "top"]}),
    (["CMD echo $HOME"], {"Cmd": ["/bin/sh", "-c", "echo $HOME"]}),
    (['ENTRYPOINT ["/init"]'], {"Entrypoint": ["/init"], "Cmd": None}),
    (["ENTRYPOINT exec top -b"], {"Entrypoint": ["/bin/sh", "-c", "exec top -b"], "Cmd": None}),
    (["ENTRYPOINT []"], {"Entrypoint": None, "Cmd": None}),
    (['CMD ["a"]', 'ENTRYPOINT ["b"]'], {"Cmd": ["a"], "Entrypoint": ["b"]}),
    (["ENV A=1"], {"Env": ["A=1"]}),
    (["ENV A=1 B=two C='3 4' D=\"5 6\" E=7\\ 8"], {"Env": ["A=1", "B=two", "C=3 4", "D=5 6", "E=7 8"]}),
    (["ENV A the rest of the line"], {"Env": ["A=the rest of the line"]}),
    (["ENV A=1", "ENV B=$A-${A}-${X:-else}-${A:+then}-\\$A"], {"Env": ["A=1", "B=1-1-else-then-$A"]}),
    (["ENV A=1", "ENV A=2 B=$A"], {"Env": ["A=2", "B=1"]}),
    (["ENV PATH=$PATH:/more"], {"Env": ["PATH=/bin:/more"]}),
    (["ENV A="], {"Env": ["A="]}),
    (["ENV A='$PATH' B=\"$PATH\""], {"Env": ["A=$PATH", "B=/bin"]}),
    (["EXPOSE 80"], {"ExposedPorts": {"80/tcp": {}}}),
    (["EXPOSE 80/TCP 53/udp 9000-9002/sctp"],
     {"ExposedPorts": {"80/tcp": {}, "53/udp": {}, "9000/sctp": {}, "9001/sctp": {}, "9002/sctp": {}}}),
    (["ENV P=81", "EXPOSE $P"], {"Env": ["P=81"], "ExposedPorts": {"81/tcp": {}}}),
    (["HEALTHCHECK NONE"], {"Healthcheck": {"Test": ["NONE"]}}),
    (["HEALTHCHECK CMD curl -f http://x"], {"Healthcheck": {"Test": ["CMD-SHELL", "curl -f http://x"]}}),
    (['HEALTHCHECK --interval=5m --timeout=3s --start-period=1m30s --start-interval=2s --retries=4 '
      'CMD ["a", "b"]'],
     {"Healthcheck": {"Test": ["CMD", "a", "b"], "Interval": 300 * SECOND, "Timeout": 3 * SECOND,
                      "StartPeriod": 90 * SECOND, "StartInterval": 2 * SECOND, "Retries": 4}}),
    (["LABEL a=1 b='two words'", "LABEL a=3"], {"Labels": {"a": "3", "b": "two words"}}),
    (["LABEL \"a b\"=c"], {"Labels": {"a b": "c"}}),
    (["LABEL key value of key"], {"Labels": {"key": "value of key"}}),
    (["ONBUILD RUN a b", "ONBUILD COPY . /"], {"OnBuild": ["RUN a b", "COPY . /"]}),
    (["STOPSIGNAL SIGUSR1"], {"StopSignal": "SIGUSR1"}),
    (["STOPSIGNAL 9"], {"StopSignal": "9"}),
    (["USER 1000:1000"], {"User": "1000:1000"}),
    (["VOLUME /data /more"], {"Volumes": {"/data": {}, "/more": {}}}),
    (['VOLUME ["/a b"]'], {"Volumes": {"/a b": {}}}),
    (["WORKDIR /srv"], {"WorkingDir": "/srv"}),
    (["WORKDIR /a", "WORKDIR b/../c", "WORKDIR d/"], {"WorkingDir": "/a/c/d"}),
    (["WORKDIR rel"], {"WorkingDir": "/rel"}),
    (["WORKDIR //a/../../b"], {"WorkingDir": "/b"}),
    (["USER a\nCMD b"], {"User": "a", "Cmd": ["/bin/sh", "-c", "b"]}),
    (["ENV A=1 \\", "    B=2"], {"Env": ["A=1", "B=2"]}),
    (["# a comment", "", "USER\ta"], {"User": "a"}),
    ([], {}),
]  # fmt: skip

# Lines, and a part of the message that refuses them.
BAD: list[tuple[str, str]] = [
    ("RUN true", "RUN is not a valid change command"),
    ("FROM busybox", "FROM is not a valid change command"),
    ("copy a b", "copy is not a valid change command"),
    ('SHELL ["sh"]', "SHELL is not a valid change command"),
    ("NONSENSE", "NONSENSE is not a valid change command"),
    ("ENV", "ENV requires at least one argument"),
    ("ENV A", "ENV must have two arguments"),
    ("ENV A=1 B", 'can\'t find = in "B"'),
    ("ENV =1", "ENV names can not be blank"),
    ("ENV A='1", "matching single-quote"),
    ('ENV A="1', "matching double-quote"),
    ("ENV A=${B", "unsupported modifier"),
    ("ENV A=${B:-c", "looking for }"),
    ("ENV A=${B?c}", "unsupported modifier"),
    ("ENV A=${}", "bad substitution"),
    ("LABEL", "LABEL requires at least one argument"),
    ("LABEL ''=x", "LABEL names can not be blank"),
    ("EXPOSE", "EXPOSE requires at least one argument"),
    ("EXPOSE http", "invalid containerPort: http"),
    ("EXPOSE 80/icmp", "invalid proto: icmp"),
    ("EXPOSE 70000", "invalid containerPort: 70000"),
    ("EXPOSE 90-80", "invalid containerPort: 90-80"),
    ("VOLUME", "VOLUME requires at least one argument"),
    ("VOLUME []", "VOLUME requires at least one argument"),
    ('VOLUME [""]', "can not be an empty string"),
    ("USER", "USER requires exactly one argument"),
    ("WORKDIR", "WORKDIR requires exactly one argument"),
    ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
    ("STOPSIGNAL SIGNONE", "invalid signal: SIGNONE"),
    ("ONBUILD", "ONBUILD requires at least one argument"),
    ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD"),
    ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
    ("ONBUILD maintainer x", "MAINTAINER isn't allowed as an ONBUILD trigger"),
    ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
    ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
    ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
    ("HEALTHCHECK RUN x", 'Unknown type "RUN" in HEALTHCHECK'),
    ("HEALTHCHECK --interval=1us CMD x", "cannot be less than 1ms"),
    ("HEALTHCHECK --interval=often CMD x", "often"),
    ("HEALTHCHECK --retries=-1 CMD x", "--retries"),
    ("HEALTHCHECK --color=red CMD x", "unknown flag: --color"),
    ("HEALTHCHECK --retries=1 --retries=2 CMD x", "duplicate flag specified: --retries"),
]


@pytest.mark.parametrize(("lines", "expected"), GOOD, ids=["; ".join(lines) for lines, _ in GOOD])
def test_good(lines: list[str], expected: dict[str, Any]) -> None:
    assert apply(lines, {}, ["PATH=/bin"]) == expected


@pytest.mark.parametrize(("line", "message"), BAD, ids=[line for line, _ in BAD])
def test_bad(line: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        apply([line], {})
    assert message in caught.value.message


def test_on_top_of_a_configuration() -> None:
    before = {"Env": ["A=1", "B=2"], "Labels": {"a": "1"}, "WorkingDir": "/w", "Cmd": ["old"], "Other": 1}
    after = apply(["ENV A=3", "LABEL b=2", "WORKDIR sub", 'ENTRYPOINT ["e"]'], before)
    assert after == {
        "Env": ["B=2", "A=3"], "Labels": {"a": "1", "b": "2"}, "WorkingDir": "/w/sub", "Cmd": None,
        "Entrypoint": ["e"], "Other": 1,
    }  # fmt: skip
    assert before["Env"] == ["A=1", "B=2"], "the argument stays as it was"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("  a  b\t c ", ["a", "b", "c"]),
        ("a='b c' d", ["a='b c'", "d"]),
        ('a="b \\" c" d', ['a="b \\" c"', "d"]),
        ("a\\ b c", ["a\\ b", "c"]),
        ("'a\\' b", ["'a\\'", "b"]),
    ],
)
def test_split(text: str, words: list[str]) -> None:
    assert split(text) == words


@pytest.mark.parametrize(
    ("word", "expanded"),
    [
        ("plain", "plain"),
        ("$A$B", "1"),
        ("a$", "a$"),
        ("$-", "$-"),
        ("${A:-x}${B:-y}${A:+p}${B:+q}", "1yp"),
        ("${B:-${A:-z}}", "1"),
        ("${B:-'}'}", "}"),
        ("\"a'$A'\"", "a'1'"),
        ("'$A'", "$A"),
        ("a\\", "a\\"),
        ('"\\n\\$A"', "\\n$A"),
        ("$Abc", ""),
        ("${A}bc", "1bc"),
    ],
)
def test_expand(word: str, expanded: str) -> None:
    assert expand(word, {"A": "1"}) == expanded
