"""The Dockerfile instructions that `commit --change` and `import --change` take, applied to a configuration.

A configuration here is the `config` object of an image, in Docker's names. Messages are Docker's.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from proa import times
from proa.engine.images import words
from proa.engine.names import parse_signal
from proa.errors import InvalidArgument

_SHELL = ["/bin/sh", "-c"]
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(\w+))?")
_PROTOCOLS = ("tcp", "udp", "sctp")
_DURATIONS = {  # options of HEALTHCHECK and what they are in the configuration, in nanoseconds
    "interval": "Interval",
    "timeout": "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",
}


def apply(lines: Sequence[str], config: Mapping[str, Any], environment: Sequence[str] = ()) -> dict[str, Any]:
    """Return `config` after the instructions in `lines`; each may hold several, and comments.

    `environment` is what variables are looked up in beside the configuration's own. Raises
    `InvalidArgument` for what is unknown, malformed or no instruction about configuration.
    """
    state = _State(dict(config), environment)
    for line in _logical_lines("\n".join(lines)):
        word, _, rest = line.partition(" ")
        name, rest = word.upper(), rest.strip()
        handler = _INSTRUCTIONS.get(name)
        if handler is None:
            raise InvalidArgument(f"{word} is not a valid change command")
        handler(state, rest)
    return state.config


def _logical_lines(text: str) -> list[str]:
    """Join continued lines, leave out comments and blank ones."""
    lines: list[str] = []
    held = ""
    for line in text.split("\n"):
        if line.lstrip().startswith("#"):
            continue
        stripped = line.rstrip()
        if stripped.endswith("\\"):
            held += stripped[:-1]
            continue
        whole = (held + line).strip().replace("\t", " ", 1)
        held = ""
        if whole:
            lines.append(whole)
    return [*lines, held.strip()] if held.strip() else lines


class _State:
    def __init__(self, config: dict[str, Any], environment: Sequence[str]) -> None:
        self.config = config
        self.has_command = False
        self._outer = dict(entry.partition("=")[::2] for entry in environment)

    def expand(self, word: str) -> str:
        own = dict(entry.partition("=")[::2] for entry in self.config.get("Env") or ())
        return words.expand(word, {**self._outer, **own})

    def add(self, field: str, entries: Mapping[str, Any]) -> None:
        self.config[field] = {**(self.config.get(field) or {}), **entries}


def _cmd(state: _State, text: str) -> None:
    state.config["Cmd"] = _command(text)
    state.has_command = True


def _entrypoint(state: _State, text: str) -> None:
    state.config["Entrypoint"] = _command(text) or None
    if not state.has_command:
        state.config["Cmd"] = None


def _env(state: _State, text: str) -> None:
    for name, value in _pairs(state, "ENV", text):
        entries = [entry for entry in state.config.get("Env") or () if entry.partition("=")[0] != name]
        state.config["Env"] = [*entries, f"{name}={value}"]


def _label(state: _State, text: str) -> None:
    state.add("Labels", dict(_pairs(state, "LABEL", text)))


def _expose(state: _State, text: str) -> None:
    ports = [port for word in words.split(text) for port in _ports(state.expand(word))]
    if not ports:
        raise InvalidArgument("EXPOSE requires at least one argument")
    state.add("ExposedPorts", {port: {} for port in ports})


def _volume(state: _State, text: str) -> None:
    paths = _json_list(text)
    paths = words.split(text) if paths is None else paths
    if not paths:
        raise InvalidArgument("VOLUME requires at least one argument")
    expanded = [state.expand(path).strip() for path in paths]
    if "" in expanded:
        raise InvalidArgument("VOLUME specified can not be an empty string")
    state.add("Volumes", {path: {} for path in expanded})


def _user(state: _State, text: str) -> None:
    state.config["User"] = state.expand(_single("USER", text))


def _workdir(state: _State, text: str) -> None:
    path = state.expand(_single("WORKDIR", text))
    joined = posixpath.join("/", state.config.get("WorkingDir") or "", path)
    state.config["WorkingDir"] = "/" + posixpath.normpath(joined).lstrip("/")


def _stopsignal(state: _State, text: str) -> None:
    signal = state.expand(_single("STOPSIGNAL", text))
    parse_signal(signal)
    state.config["StopSignal"] = signal


def _onbuild(state: _State, text: str) -> None:
    if not text:
        raise InvalidArgument("ONBUILD requires at least one argument")
    trigger = text.split()[0].upper()
    if trigger == "ONBUILD":
        raise InvalidArgument("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in ("MAINTAINER", "FROM"):
        raise InvalidArgument(f"{trigger} isn't allowed as an ONBUILD trigger")
    state.config["OnBuild"] = [*(state.config.get("OnBuild") or ()), text]


def _healthcheck(state: _State, text: str) -> None:
    options, text = _options(text)
    kind, _, rest = text.partition(" ")
    rest = rest.strip()
    if kind.upper() == "NONE":
        if rest:
            raise InvalidArgument("HEALTHCHECK NONE takes no arguments")
        state.config["Healthcheck"] = {"Test": ["NONE"]}
        return
    if not kind:
        raise InvalidArgument("HEALTHCHECK requires at least one argument")
    if kind.upper() != "CMD":
        raise InvalidArgument(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    if not rest:
        raise InvalidArgument("Missing command after HEALTHCHECK CMD")
    words_of_test = _json_list(rest)
    check: dict[str, Any] = {"Test": ["CMD-SHELL", rest] if words_of_test is None else ["CMD", *words_of_test]}
    for name, value in options.items():
        if name == "retries":
            check["Retries"] = _retries(value)
        elif name in _DURATIONS:
            check[_DURATIONS[name]] = _duration(name, value)
        else:
            raise InvalidArgument(f"unknown flag: --{name}")
    state.config["Healthcheck"] = check


_INSTRUCTIONS: dict[str, Callable[[_State, str], None]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}


def _json_list(text: str) -> list[str] | None:
    """Parse the exec form, a JSON array of strings; None for anything else."""
    if not text.startswith("["):
        return None
    try:
        return msgspec.json.decode(text, type=list[str])
    except (msgspec.DecodeError, UnicodeError):
        return None


def _command(text: str) -> list[str]:
    """Parse exec form or shell form."""
    listed = _json_list(text)
    if listed is not None:
        return listed
    return [*_SHELL, text] if text else []


def _single(name: str, text: str) -> str:
    if not text:
        raise InvalidArgument(f"{name} requires exactly one argument")
    return text


def _pairs(state: _State, name: str, text: str) -> list[tuple[str, str]]:
    """Parse `name=value …`, or the old form `name value`; all are expanded before any is set."""
    found = words.split(text)
    if not found:
        raise InvalidArgument(f"{name} requires at least one argument")
    if "=" not in found[0]:
        if len(found) < 2:
            raise InvalidArgument(f"{name} must have two arguments")
        pairs = [(found[0], text[len(found[0]) :].strip())]
    else:
        for word in found:
            if "=" not in word:
                raise InvalidArgument(f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value')
        pairs = [(key, value) for key, _, value in (word.partition("=") for word in found)]
    expanded = [(state.expand(key), state.expand(value)) for key, value in pairs]
    if any(not key for key, _ in expanded):
        raise InvalidArgument(f"{name} names can not be blank")
    return expanded


def _ports(text: str) -> list[str]:
    """Expand "80", "53/udp" or "8000-8010/tcp"."""
    match = _PORTS.fullmatch(text)
    if not match:
        raise InvalidArgument(f"invalid containerPort: {text}")
    first, last, protocol = int(match[1]), int(match[2] or match[1]), (match[3] or "tcp").lower()
    if protocol not in _PROTOCOLS:
        raise InvalidArgument(f"invalid proto: {protocol}")
    if not first <= last <= 65535:
        raise InvalidArgument(f"invalid containerPort: {text}")
    return [f"{port}/{protocol}" for port in range(first, last + 1)]


def _options(text: str) -> tuple[dict[str, str], str]:
    """Take `--name=value` from the beginning."""
    options: dict[str, str] = {}
    while text.startswith("--"):
        option, _, text = text.partition(" ")
        text = text.strip()
        name, _, value = option[2:].partition("=")
        if name in options:
            raise InvalidArgument(f"duplicate flag specified: --{name}")
        options[name] = value
    return options, text


def _duration(name: str, text: str) -> int:
    if not text:
        return 0
    duration = times.parse_duration(text)
    if duration < 0 or 0 < duration < times.SECOND // 1000:
        raise InvalidArgument(f'Interval "{name}" cannot be less than 1ms')
    return duration


def _retries(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidArgument(f'--retries must be a number of at least 0, not "{text}"')
    return int(text)
