"""The Config that a commit's body may carry, as the instructions that `--change` takes."""

from __future__ import annotations

import json
from typing import Any

from proa.api.types.containers import Config


def instructions(config: Config) -> list[str]:
    """Return Dockerfile instructions that set what a body sets."""
    lines = [
        *(f"ENV {_quoted(name)}={_quoted(value)}" for name, _, value in _parts(config.env)),
        *(f"LABEL {_quoted(name)}={_quoted(value)}" for name, value in config.labels.items()),
        *(f"EXPOSE {port}" for port in config.exposed_ports or ()),
        *(f"ONBUILD {line}" for line in config.on_build or ()),
    ]
    if config.volumes:
        lines.append(f"VOLUME {json.dumps(list(config.volumes))}")
    for word, text in (
        ("USER", config.user),
        ("WORKDIR", config.working_dir),
        ("STOPSIGNAL", config.stop_signal or ""),
    ):
        if text:
            lines.append(f"{word} {text}")
    for word, words in (("ENTRYPOINT", config.entrypoint), ("CMD", config.cmd)):
        if words is not None:
            lines.append(f"{word} {json.dumps([words] if isinstance(words, str) else words)}")
    return lines


def _parts(env: list[str] | None) -> list[tuple[str, str, str]]:
    return [entry.partition("=") for entry in env or ()]


def _quoted(text: Any) -> str:
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return (
        f'"{escaped}"'
        if escaped.strip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
        else escaped
    )
