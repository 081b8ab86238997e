"""Log options: which are taken and refused, and what a shim is told of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proa.engine.logs import destination, drivers
from proa.engine.options import ContainerOptions
from proa.engine.records import Container
from proa.errors import InvalidArgument, ProaError, Unsupported

HERE = Path("/c")
ID = "0123456789ab" + "c" * 52
SYSLOG = {"syslog-address": "udp://127.0.0.1"}


def container(driver: str, log_options: dict[str, str], **options: Any) -> Container:
    made = ContainerOptions(image="busybox", log_driver=driver, log_options=log_options, **options)
    return Container(id=ID, name="web", created=0, image_id="sha256:" + "a" * 64, layers=[], options=made)


def described(driver: str, log_options: dict[str, str], **options: Any) -> Any:
    return destination.describe(container(driver, log_options, **options), HERE)


@pytest.mark.parametrize(
    ("driver", "options"),
    [
        ("json-file", {}), ("json-file", {"max-size": "x", "max-file": "x"}), ("none", {"a": "b"}),
        ("json-file", {"cache-max-size": "x", "mode": "", "labels": "", "env-regex": "("}),
        ("local", {"mode": "blocking"}), ("journald", {"tag": "x", "cache-disabled": "1"}),
        ("syslog", {"syslog-address": "tcp://[::1]:99", "syslog-facility": "0", "syslog-tls-cert": "x"}),
        ("syslog", {"syslog-address": "unix:///"}), ("syslog", {"syslog-address": "tcp+tls://host"}),
    ],
)  # fmt: skip
def test_taken(driver: str, options: dict[str, str]) -> None:
    drivers.validate(driver, options)


@pytest.mark.parametrize(
    ("driver", "options", "words"),
    [
        ("nosuch", {}, 'error looking up logging plugin nosuch: plugin "nosuch" not found'),
        ("json-file", {"x": ""}, "unknown log opt 'x' for json-file log driver"),
        ("local", {"tag": "x"}, "unknown log opt 'tag' for log driver local"),
        ("journald", {"max-size": "1m"}, "unknown log opt 'max-size' for journald log driver"),
        ("syslog", {"max-size": "1m"}, "unknown log opt 'max-size' for syslog log driver"),
        ("json-file", {"mode": "x"}, "logger: logging mode not supported: x"),
        (
            "json-file",
            {"mode": "blocking", "max-buffer-size": "1m"},
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
        (
            "local",
            {"mode": "non-blocking", "max-buffer-size": "x"},
            "error parsing option max-buffer-size: invalid size: 'x'",
        ),
        ("syslog", {"cache-disabled": "x"}, "invalid value for option cache-disabled: x"),
        ("syslog", {"syslog-address": "x"}, "unsupported scheme: ''"),
        ("syslog", {"syslog-address": "udp4://h"}, "unsupported scheme: 'udp4'"),
        ("syslog", {"syslog-address": "unix:///no/such"}, "stat /no/such: no such file or directory"),
        ("syslog", {"syslog-address": "tcp://1:2:3"}, "address 1:2:3: too many colons in address"),
        ("syslog", {"syslog-address": "tcp://h:x"}, 'parse "h:x": invalid port ":x" after host'),
        ("syslog", {"syslog-address": "tcp://[::1"}, 'parse "tcp://[::1": Invalid IPv6 URL'),
        ("syslog", {"syslog-facility": "24"}, "invalid syslog facility"),
        ("syslog", {"syslog-facility": "-1"}, "invalid syslog facility"),
        ("syslog", {"syslog-format": "rfc"}, "Invalid syslog format"),
    ],
)
def test_refused(driver: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        drivers.validate(driver, options)
    assert refusal.value.message == words


@pytest.mark.parametrize("driver", ["fluentd", "awslogs", "gelf", "splunk", "gcplogs"])
def test_dockers_others_are_refused_by_name(driver: str) -> None:
    with pytest.raises(Unsupported, match=f'log driver "{driver}" is not supported; use json-file, local, '):
        drivers.validate(driver, {})


MB = 1_000_000
UNCLOSED = "missing ), unterminated subpattern at position 0"
FILE = {"path": f"/c/{ID}-json.log", "compress": False, "attributes": ""}
QUOTED = '{"A":"1\\"=2"}'
LOCAL = {"path": "/c/local.log", "max_size": 20 << 20, "max_files": 5, "compress": True}


@pytest.mark.parametrize(
    ("driver", "options", "expected"),
    [
        ("json-file", {"max-size": "10k"}, FILE | {"max_size": 10_000, "max_files": 1}),
        ("json-file", {"max-file": "3"}, FILE | {"max_size": 33_333_333, "max_files": 3}),
        ("json-file", {"max-size": "-1"}, FILE | {"max_size": 0, "max_files": 1}),
        ("json-file", {"max-size": "1.5m", "max-file": "2"}, FILE | {"max_size": 1_500_000, "max_files": 2}),
        ("json-file", {"compress": "true"}, FILE | {"max_size": 20 * MB, "max_files": 5, "compress": True}),
        ("json-file", {"max-size": "9", "env": "A"}, FILE | {"max_size": 9, "max_files": 1, "attributes": QUOTED}),
        ("local", {}, LOCAL),
        ("local", {"max-size": "0"}, LOCAL),
        ("local", {"max-file": "1", "compress": "false"}, LOCAL | {"max_files": 1, "compress": False}),
    ],
)
def test_files(driver: str, options: dict[str, str], expected: dict[str, Any]) -> None:
    assert described(driver, options, env=['A=1"=2', "B=3"]) == {"file": expected}


def test_the_default_is_bounded() -> None:
    assert described("json-file", {}) == {"file": {"path": FILE["path"], "max_size": 20 * MB, "max_files": 5}}
    assert described("", {}) == described("json-file", {})
    assert described("none", {"a": "b"}) is None


def test_the_mode_non_blocking() -> None:
    assert described("json-file", {"mode": "non-blocking", "max-buffer-size": "2m"}) == {
        "driver": "file", "buffer": 2 << 20, "file": None, "lossy": 2 << 20,
        "options": FILE | {"max_size": 20 * MB, "max_files": 5},
    }  # fmt: skip
    assert described("local", {"mode": "non-blocking"})["buffer"] == 1 << 20


def test_syslog_and_its_cache() -> None:
    found = described("syslog", {**SYSLOG, "syslog-facility": "local7", "cache-max-size": "1m"})
    assert found["file"] == LOCAL | {"path": "/c/cached.log", "max_size": MB}
    assert (found["driver"], found["buffer"]) == ("syslog", 0)
    assert found["options"] == {
        "network": "udp", "host": "127.0.0.1", "port": 514, "facility": 23, "format": "", "tag": ID[:12],
        "tls": {"ca": "", "cert": "", "key": "", "skip_verify": False},
    }  # fmt: skip
    assert described("syslog", {**SYSLOG, "cache-disabled": "true"})["file"] is None
    for text, skips in (("", True), ("true", True), ("false", False)):
        options = described("syslog", {**SYSLOG, "syslog-tls-skip-verify": text})["options"]
        assert options["tls"]["skip_verify"] is skips


def test_fields_of_the_journal() -> None:
    options = {"labels": "com.x/y,_z,-", "tag": "{{.Name}}/{{.ImageName}}"}
    labels = {"com.x/y": "1", "_z": "2", "-": "3"}
    assert described("journald", options, labels=labels)["options"] == {
        "socket": "/run/systemd/journal/socket",
        "fields": {
            "COM_X_Y": "1", "Z": "2", "CONTAINER_ID": ID[:12], "CONTAINER_ID_FULL": ID, "CONTAINER_NAME": "web",
            "CONTAINER_TAG": "web/busybox", "IMAGE_NAME": "busybox", "SYSLOG_IDENTIFIER": "web/busybox",
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("driver", "options", "words"),
    [
        ("json-file", {"max-size": "x"}, "invalid size: 'x'"),
        ("json-file", {"max-size": "-2"}, "invalid size: '-2'"),
        ("json-file", {"max-size": "0"}, "max-size must be a positive number"),
        ("json-file", {"max-file": "0"}, "max-file cannot be less than 1"),
        ("json-file", {"max-file": "x"}, 'strconv.Atoi: parsing "x": invalid syntax'),
        ("json-file", {"compress": "x"}, 'strconv.ParseBool: parsing "x": invalid syntax'),
        (
            "json-file",
            {"compress": "true", "max-file": "1"},
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
        ("json-file", {"labels-regex": "("}, f"error parsing regexp: {UNCLOSED}: `(`"),
        ("json-file", {"tag": "{{.Foo"}, "template: log-tag:1: unclosed action"),
        (
            "json-file",
            {"tag": "{{.Foo}}"},
            'template: log-tag:1:2: executing "log-tag" at <.Foo>: can\'t evaluate field Foo in type *logger.Info',
        ),
        ("local", {"max-size": "-1"}, "invalid value for max-size: -1: invalid size: '-1'"),
        ("local", {"max-file": "x"}, 'invalid value for max-file: x: strconv.Atoi: parsing "x": invalid syntax'),
        (
            "local",
            {"compress": "x"},
            'error reading compress log option: strconv.ParseBool: parsing "x": invalid syntax',
        ),
        ("local", {"max-file": "1"}, "compression cannot be enabled when max file count is 1"),
        ("syslog", {**SYSLOG, "cache-max-size": "x"}, "invalid value for cache-max-size: x: invalid size: 'x'"),
    ],
)  # fmt: skip
def test_wrong_values_end_the_start(driver: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidArgument) as failure:
        described(driver, options)
    frame = "failed to create task for container: failed to initialize logging driver: "
    assert failure.value.message == frame + words


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("{{.ID}} {{.FullID}}", f"{ID[:12]} {ID}"),
        ("{{.Name}} {{.ContainerName}}", "web /web"),
        ("{{.ImageID}} {{.ImageName}} {{.DaemonName}}", "sha256:aaaaa busybox docker"),
        ('{{index .ContainerLabels "a"}} {{.ContainerLabels}} {{.ContainerEnv}}', "b map[a:b] [X=1]"),
        ('{{.Name | upper}}-{{printf "%s" .ID}}{{/* nothing */}}', f"WEB-{ID[:12]}"),
        ("plain", "plain"),
    ],
)
def test_tags(tag: str, expected: str) -> None:
    found = described("syslog", {**SYSLOG, "tag": tag}, labels={"a": "b"}, env=["X=1"])
    assert found["options"]["tag"] == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("", {}), ("local", {"max-size": "1m"})),
        (("local", {"max-file": "2"}), ("local", {"max-size": "1m", "max-file": "2"})),
        (("", {"max-size": "2m"}), ("local", {"max-size": "2m"})),
        (("json-file", {}), ("json-file", {})),
        (("none", {}), ("none", {})),
    ],
)
def test_defaults_of_the_engine(given: tuple[str, dict[str, str]], expected: tuple[str, dict[str, str]]) -> None:
    options = container(*given).options
    merged = drivers.merged(options, "local", {"max-size": "1m"})
    assert (merged.log_driver, merged.log_options) == expected
    assert options.log_options == given[1]


def test_errors_are_proas() -> None:
    """Whatever the values are, nothing else comes out: options are hostile input."""
    for name in ("max-size", "max-file", "compress", "tag", "labels-regex", "env", "max-buffer-size"):
        for value in ("", "9" * 400, "1e999", "\0", "{{", "{{.}}", "{{.Name.x}}", "{{printf}}", "(?P<", "\ud800"):
            try:
                described("json-file", {name: value, "mode": "non-blocking"})
            except ProaError:
                pass
