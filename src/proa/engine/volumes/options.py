"""Options of the driver `local`: what they must be, and the mount that they describe (Docker's `--opt`).

type=TYPE device=DEVICE o=OPTION,…    what mount(8) would be told, `none` with `bind` for a directory
size=SIZE                             a limit for a volume that is a directory of the engine's own
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from typing import Any

from proa.engine.resources import parse_size
from proa.errors import InvalidArgument
from proa.runtime.mounts import Options

_KNOWN = frozenset({"type", "o", "device", "size"})
_REQUIRED = (("device", "type"), ("type", "device"), ("o", "device"), ("o", "type"))
_PLAIN_BIND = frozenset({"bind", "rbind", "rw"})
_SHARES = frozenset({"cifs", "smb3"})  # //SERVER/SHARE
_NETWORKED = frozenset({"nfs", "nfs4"}) | _SHARES
_ADDRESS = "addr="
_SECRET = re.compile(r"\b(pass(?:word)?2?)=[^,]*")


def check(options: Mapping[str, str]) -> None:
    """Refuse options that make no sense, in Docker's words. Raises `InvalidArgument`.

    What the kernel has to say is known when the volume is mounted.
    """
    for option in options:
        if option not in _KNOWN:
            raise InvalidArgument(f'invalid option: "{option}"')
    for option, other in _REQUIRED:
        if option in options and not options.get(other):
            raise InvalidArgument(f'missing required option: "{other}"')
    for option, value in options.items():
        if "\0" in value:
            raise InvalidArgument(f'the option "{option}" contains a null byte')
    if "size" in options:
        size(options)
        if "type" in options:
            raise InvalidArgument(
                'the option "size" limits volumes without a mount; a file system takes its limit in "o": o=size=…'
            )
    device = options.get("device", "")
    if flags(options) & {"bind", "rbind"} and not device.startswith("/"):
        raise InvalidArgument(f"device {device!r} is not an absolute path")
    if options.get("type") == "cifs" and re.match(r"//[^/]*:\d+(/|$)", device):
        raise InvalidArgument("port not allowed in CIFS device URL, include 'port' in 'o='")


def size(options: Mapping[str, str]) -> int:
    """Return the limit in bytes, 0 for none. Raises `InvalidArgument`."""
    text = options.get("size")
    if text is None:
        return 0
    limit = parse_size(text)
    if limit < 0:
        raise InvalidArgument(f"invalid size: '{text}'")
    return limit


def flags(options: Mapping[str, str]) -> frozenset[str]:
    return frozenset(word for word in options.get("o", "").split(",") if word)


def bound_directory(options: Mapping[str, str]) -> str:
    """Return the directory of the host that containers are given as it is, "" where something is mounted."""
    words = flags(options)
    plain = words & {"bind", "rbind"} and words <= _PLAIN_BIND
    return options["device"] if plain else ""


def needs_mount(options: Mapping[str, str]) -> bool:
    """Whether a file system is mounted while the volume is in use."""
    return "type" in options and not bound_directory(options)


def mount_entry(options: Mapping[str, str]) -> tuple[dict[str, Any], Options]:
    """Return what `runtime.mounts` mounts. Names of servers are looked up: this may block. Raises `OSError`."""
    words = [_resolved(word, options["type"]) for word in options.get("o", "").split(",") if word]
    parsed = Options(words)
    if "ro" in words:
        parsed.data["ro"] = None  # the file system itself, too: a device may be read-only
    device = options["device"]
    if options["type"] in _SHARES and not any(word.startswith((_ADDRESS, "ip=")) for word in words):
        server, separator, share = device.removeprefix("//").partition("/")
        device = f"//{_address(server)}{separator}{share}"
    return {"type": options["type"], "source": device, "destination": ""}, parsed


def described(options: Mapping[str, str], place: str) -> str:
    """Return the mount as Docker describes it in errors, without passwords."""
    data = _SECRET.sub(r"\1=********", options.get("o", ""))
    return f"mount {options['device']}:{place}, type: {options['type']}" + (f", data: {data}" if data else "")


def _resolved(word: str, kind: str) -> str:
    """The kernel takes addresses, users give names: mount(2) has no resolver."""
    if kind in _NETWORKED and word.startswith(_ADDRESS):
        return _ADDRESS + _address(word.removeprefix(_ADDRESS))
    return word


def _address(name: str) -> str:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return str(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)[0][4][0])
    return name
