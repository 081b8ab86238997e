"""From a container's log options to what its shim is told: files, servers, and strings ready to be written.

Docker lets a log grow until the disk is full unless it is told otherwise. Here 100 MB are kept if nothing is
said of sizes; `max-size=-1` asks for a log without bound.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proa import wording
from proa.engine import resources
from proa.engine.logs import attributes, syslog_options
from proa.engine.logs.drivers import boolean, buffer_size, has_cache
from proa.engine.options import ContainerOptions
from proa.engine.records import Container
from proa.errors import InvalidArgument, ProaError

_MB = 1_000_000
_KEPT = 100 * _MB  # bytes of a json-file log when nothing is said
_FILES = 5
_LOCAL_SIZE = 20 << 20  # bytes of a file of the driver local and of caches
_JOURNAL = "/run/systemd/journal/socket"


def describe(record: Container, directory: Path) -> dict[str, Any] | None:
    """Return what the shim's `open_log` takes, None for no log. Raises `Internal`, as Docker, for wrong values."""
    options = record.options.log_options
    driver = record.options.log_driver
    try:
        if driver in ("syslog", "journald"):
            return _elsewhere(record, directory)
        if driver == "none":
            return None
        path = str(log_path(directory, record.id, record.options))
        file = _local(path, options) if driver == "local" else _json_file(record, path)
        if buffer := buffer_size(options):
            return {"driver": "file", "options": file, "buffer": buffer, "file": None, "lossy": buffer}
    except ProaError as error:
        message = f"failed to initialize logging driver: {error.message}"
        raise wording.logging_failed(message, InvalidArgument) from None
    return {"file": file}


def log_path(directory: Path, identifier: str, options: ContainerOptions) -> Path | None:
    """Return the file that a container's log can be read from, None if there is none."""
    driver = options.log_driver
    if driver in ("", "json-file"):
        return directory / f"{identifier}-json.log"
    if driver == "local":
        return directory / "local.log"
    if has_cache(driver, options.log_options):
        return directory / "cached.log"
    return None


def _json_file(record: Container, path: str) -> dict[str, Any]:
    options = record.options.log_options
    if not options:
        return {"path": path, "max_size": _KEPT // _FILES, "max_files": _FILES}
    # With a size alone there is one file, as in Docker; with no size, so many that share 100 MB.
    files = _count(options.get("max-file") or ("1" if "max-size" in options else str(_FILES)))
    if files < 1:
        raise InvalidArgument("max-file cannot be less than 1")
    size = _size(options["max-size"]) if "max-size" in options else max(_KEPT // files, 1)
    if size == 0:
        raise InvalidArgument("max-size must be a positive number")
    compress = boolean(options.get("compress", ""))
    if compress and (files < 2 or size < 0):
        raise InvalidArgument("compress cannot be true when max-file is less than 2 or max-size is not set")
    extra = attributes.attributes(record)
    if options.get("tag"):
        extra["tag"] = attributes.tag(record)
    return {
        "path": path,
        "max_size": max(size, 0),
        "max_files": files,
        "compress": compress,
        "attributes": json.dumps(dict(sorted(extra.items())), separators=(",", ":")) if extra else "",
    }


def _local(path: str, options: Mapping[str, str], prefix: str = "") -> dict[str, Any]:
    """Return the file of the driver local, or with the prefix "cache-" of a cache."""

    def read(name: str, kind: Any, default: Any) -> Any:
        text = options.get(f"{prefix}{name}", "")
        if not text:
            return default
        try:
            return kind(text)
        except InvalidArgument as error:
            if name == "compress":
                raise InvalidArgument(f"error reading {prefix}compress log option: {error.message}") from None
            raise InvalidArgument(f"invalid value for {prefix}{name}: {text}: {error.message}") from None

    size = read("max-size", lambda text: _size(text, unlimited=False), _LOCAL_SIZE)
    files = read("max-file", _count, _FILES)
    compress = read("compress", boolean, True)
    if compress and files <= 1:
        raise InvalidArgument("compression cannot be enabled when max file count is 1")
    return {"path": path, "max_size": size or _LOCAL_SIZE, "max_files": max(files, 1), "compress": compress}


def _elsewhere(record: Container, directory: Path) -> dict[str, Any]:
    """Return the server's part and, so that `logs` works, the cache that Docker calls dual logging."""
    options = record.options.log_options
    driver = record.options.log_driver
    path = log_path(directory, record.id, record.options)
    tag = attributes.tag(record)
    if driver == "syslog":
        syslog_options.validate(options)
        extra = attributes.attributes(record)  # syslog has no place for them, but a wrong pattern is an error
        description = syslog_options.description(options, tag)
    else:
        extra = attributes.attributes(record)
        description = {"socket": _JOURNAL, "fields": _journal_fields(record, tag, extra)}
    return {
        "driver": driver,
        "options": description,
        "buffer": buffer_size(options),
        "lossy": buffer_size(options),
        "file": _local(str(path), options, "cache-") if path else None,
    }


def _journal_fields(record: Container, tag: str, extra: Mapping[str, str]) -> dict[str, str]:
    # Names have capitals, digits and underscores, and may not begin with one (systemd.journal-fields(7)).
    sanitized = {re.sub(r"[^A-Z0-9_]", "_", name.upper()).lstrip("_"): value for name, value in extra.items()}
    return {
        **{name: value for name, value in sanitized.items() if name},
        "CONTAINER_ID": record.id[:12],
        "CONTAINER_ID_FULL": record.id,
        "CONTAINER_NAME": record.name,
        "CONTAINER_TAG": tag,
        "IMAGE_NAME": record.options.image,
        "SYSLOG_IDENTIFIER": tag,
    }


def _size(text: str, *, unlimited: bool = True) -> int:
    """Parse a size in decimal units; negative is without bound."""
    size = resources.parse_size(text, base=1000)
    if size < 0 and not (unlimited and text == "-1"):
        raise InvalidArgument(f"invalid size: '{text}'")
    return size


def _count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidArgument(f'strconv.Atoi: parsing "{text}": invalid syntax') from None
