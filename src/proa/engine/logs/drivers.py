"""The log drivers, their options, and what Docker says of wrong ones.

As in Docker, `validate` looks at names at a container's creation; most values are read at its start.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from proa.engine import resources
from proa.engine.logs import syslog_options
from proa.engine.options import ContainerOptions
from proa.engine.settings import DEFAULT_LOG_DRIVER
from proa.errors import InvalidArgument, Unsupported

_ATTRIBUTES = ("labels", "labels-regex", "env", "env-regex", "tag")
_ROTATION = ("max-size", "max-file", "compress")
_COMMON = ("mode", "max-buffer-size", "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress")
_BUFFER = 1 << 20  # bytes, for the mode non-blocking


class Driver(msgspec.Struct, frozen=True):
    """A driver: the options of its own, and the words that Docker refuses others with."""

    options: frozenset[str]
    refusal: str


DRIVERS: dict[str, Driver] = {
    "json-file": Driver(frozenset((*_ROTATION, *_ATTRIBUTES)), "for json-file log driver"),
    "local": Driver(frozenset(_ROTATION), "for log driver local"),
    "journald": Driver(frozenset(_ATTRIBUTES), "for journald log driver"),
    "syslog": Driver(frozenset((*syslog_options.NAMES, *_ATTRIBUTES)), "for syslog log driver"),
    "none": Driver(frozenset(), "for none log driver"),
}
_DOCKERS = ("awslogs", "fluentd", "gcplogs", "gelf", "splunk")  # that Docker has besides


def merged(options: ContainerOptions, default_driver: str, default_options: Mapping[str, str]) -> ContainerOptions:
    """Return `options` with the engine's log driver and, if that is the container's too, its options filled in."""
    driver = options.log_driver or default_driver
    if driver == default_driver and default_options and driver != "none":
        log_options = {**default_options, **options.log_options}
    else:
        log_options = options.log_options
    if driver == options.log_driver and log_options == options.log_options:
        return options
    return msgspec.structs.replace(options, log_driver=driver, log_options=log_options)


def validate(driver: str, options: Mapping[str, str]) -> None:
    """Refuse unknown drivers and options; raises `InvalidArgument` or `Unsupported`."""
    if driver == DEFAULT_LOG_DRIVER and not options:
        return
    if driver in _DOCKERS:
        raise Unsupported(f'log driver "{driver}" is not supported; use {", ".join(DRIVERS)}')
    if driver not in DRIVERS:
        raise InvalidArgument(f'error looking up logging plugin {driver}: plugin "{driver}" not found')
    if driver == "none":
        return  # Docker's CLI refuses options of it, its engine takes any: nothing is written
    _validate_common(options)
    known = DRIVERS[driver]
    for name in options:
        if name not in known.options and name not in _COMMON:
            raise InvalidArgument(f"unknown log opt '{name}' {known.refusal}")
    if driver == "syslog":
        syslog_options.validate(options)


def buffer_size(options: Mapping[str, str]) -> int:
    """Return the bytes that may wait in the mode non-blocking, 0 for the mode blocking."""
    if options.get("mode") != "non-blocking":
        return 0
    text = options.get("max-buffer-size", "")
    if not text:
        return _BUFFER
    try:
        size = resources.parse_size(text)
    except InvalidArgument as error:
        raise InvalidArgument(f"error parsing option max-buffer-size: {error.message}") from None
    return max(size, 1)


def has_cache(driver: str, options: Mapping[str, str]) -> bool:
    """Return whether output that goes elsewhere is also kept here, so that it can be read."""
    return driver in ("journald", "syslog") and not boolean(options.get("cache-disabled", ""))


def boolean(text: str) -> bool:
    """Parse what Go's strconv.ParseBool takes, "" as false."""
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("", "0", "f", "F", "FALSE", "false", "False"):
        return False
    raise InvalidArgument(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def _validate_common(options: Mapping[str, str]) -> None:
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise InvalidArgument(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" in options and mode != "non-blocking":
        raise InvalidArgument("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
    buffer_size(options)
    text = options.get("cache-disabled", "")
    try:
        boolean(text)
    except InvalidArgument:
        raise InvalidArgument(f"invalid value for option cache-disabled: {text}") from None
