"""What records say of their container: labels and variables by name or pattern, and the tag."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from proa import ids, times
from proa.engine.records import Container
from proa.errors import InvalidArgument
from proa.templates.syntax import TemplateError
from proa.templates.template import Template
from proa.templates.values import Fields, Map

_DAEMON = "docker"  # what {{.DaemonName}} is there: filters of log collectors have it in them
_SHORT = 12  # characters of an image's id, of which the first seven are "sha256:"


def attributes(record: Container) -> dict[str, str]:
    """Return labels and environment variables that the log options ask for. Raises `InvalidArgument`."""
    options = record.options.log_options
    environment = dict(variable.partition("=")[::2] for variable in record.options.env if "=" in variable)
    return {
        **_chosen(record.options.labels, options, "labels"),
        **_chosen(environment, options, "env"),
    }


def tag(record: Container, default: str = "{{.ID}}") -> str:
    """Return the tag of a container's records; raises `InvalidArgument` for a wrong template."""
    text = record.options.log_options.get("tag") or default
    try:
        return Template(text).render(Fields("*logger.Info", _FIELDS, record))
    except TemplateError as error:
        message = error.message.replace("template: :", "template: log-tag:", 1)
        raise InvalidArgument(message.replace('executing ""', 'executing "log-tag"', 1)) from None


def _chosen(values: Mapping[str, str], options: Mapping[str, str], kind: str) -> dict[str, str]:
    names = options.get(kind, "").split(",")
    chosen = {name: values[name] for name in names if name in values}
    if pattern := options.get(f"{kind}-regex", ""):
        try:
            matches = re.compile(pattern).search
        except re.error as error:
            raise InvalidArgument(f"error parsing regexp: {error}: `{pattern}`") from None
        chosen |= {name: value for name, value in values.items() if matches(name)}
    return chosen


def _extra(record: Container) -> Map:
    return Map(sorted(attributes(record).items()))


# The fields and methods of Docker's logger.Info.
_FIELDS: dict[str, Callable[[Container], Any]] = {
    "ID": lambda record: ids.short(record.id),
    "FullID": lambda record: record.id,
    "Name": lambda record: record.name,
    "ImageID": lambda record: record.image_id[:_SHORT],
    "ImageFullID": lambda record: record.image_id,
    "ImageName": lambda record: record.options.image,
    "Command": lambda record: " ".join([record.path, *record.args]),
    "Hostname": lambda record: os.uname().nodename,
    "DaemonName": lambda record: _DAEMON,
    "Config": lambda record: Map(sorted(record.options.log_options.items())),
    "ContainerID": lambda record: record.id,
    "ContainerName": lambda record: f"/{record.name}",
    "ContainerEntrypoint": lambda record: record.path,
    "ContainerArgs": lambda record: record.args,
    "ContainerImageID": lambda record: record.image_id,
    "ContainerImageName": lambda record: record.options.image,
    "ContainerCreated": lambda record: times.format_time(record.created),
    "ContainerEnv": lambda record: record.options.env,
    "ContainerLabels": lambda record: Map(sorted(record.options.labels.items())),
    "ExtraAttributes": _extra,
}
