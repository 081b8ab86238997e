"""What the commands of `proa context` share: names, the context of the environment, endpoints of `--docker`."""

from __future__ import annotations

import os

from proa.cli.options.endpoints import KEYS
from proa.client.address import DEFAULT_CONTEXT
from proa.client.contexts import Context, Store
from proa.errors import InvalidArgument, ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from proa.cli.command import Invocation

FLAGS = (
    ("description", "", "string", "What the context is"),
    ("docker", "", "stringToString", "Where the engine is (host=…,ca=…,cert=…,key=…)", "endpoints.pairs"),
)
DEFAULT_DESCRIPTION = "Current DOCKER_HOST based configuration"
_NAME = "[a-zA-Z0-9][a-zA-Z0-9_.+-]+"
_FILES = (("ca", "ca.pem"), ("cert", "cert.pem"), ("key", "key.pem"))
_BOOLEANS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}


def store() -> Store:
    return Store(os.environ)


def check_new_name(name: str) -> None:
    """Raise `InvalidArgument` for what cannot name a context."""
    if name == DEFAULT_CONTEXT:
        raise InvalidArgument('"default" is a reserved context name')
    check_name(name)


def check_name(name: str) -> None:
    import re

    if name != DEFAULT_CONTEXT and not re.fullmatch(_NAME, name):
        raise InvalidArgument(f'context name "{name}" is invalid, names are validated against regexp "^{_NAME}$"')


def get(invocation: Invocation, name: str) -> Context:
    """Return a context of the store, or what the environment says for the default one."""
    return default(invocation) if name == DEFAULT_CONTEXT else store().load(name)


def default(invocation: Invocation) -> Context:
    """Return the default context, which is in no file: global flags, environment, Proa's own engine."""
    address = invocation.default_address()
    contents = {}
    if address.tls:
        paths = (address.tls.ca, address.tls.certificate, address.tls.key)
        for (_, name), path in zip(_FILES, paths, strict=True):
            if path:
                contents[name] = _contents(path)
    skip = address.tls is not None and not address.tls.verify
    return Context(DEFAULT_CONTEXT, {}, {"Host": address.url, "SkipTLSVerify": skip}, contents)


def endpoint(invocation: Invocation, given: list[dict[str, str]]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the endpoint and the TLS files of `--docker`. Raises `InvalidArgument` in docker's words."""
    try:
        return _endpoint(invocation, {name: value for one in given for name, value in one.items()})
    except ProaError as error:
        raise InvalidArgument(f"unable to create docker endpoint config: {error.message}") from None


def _endpoint(invocation: Invocation, fields: dict[str, str]) -> tuple[dict[str, Any], dict[str, bytes]]:
    unknown = sorted(set(fields) - set(KEYS))
    if unknown:
        raise InvalidArgument(f"unrecognized config key: {', '.join(unknown)}")
    if "from" in fields:
        context = get(invocation, fields["from"])
        return context.endpoint, context.tls
    skip = fields.get("skip-tls-verify", "false")
    if skip.lower() not in _BOOLEANS:
        raise InvalidArgument(f'skip-tls-verify: parsing "{skip}": invalid syntax')
    tls = {name: _contents(fields[key]) for key, name in _FILES if fields.get(key)}
    _check_tls(fields, tls)
    host = fields.get("host", "")
    if host and "://" not in host:
        raise InvalidArgument(f"unable to apply docker endpoint options: unable to parse docker host `{host}`")
    return {"Host": host, "SkipTLSVerify": _BOOLEANS[skip.lower()]}, tls


def _contents(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (pathlib costs 8 ms)
            return file.read()
    except OSError as error:
        raise InvalidArgument(f"open {path}: {(error.strerror or 'cannot be read').lower()}") from None


def _check_tls(fields: dict[str, str], tls: dict[str, bytes]) -> None:
    """Raise `InvalidArgument` for files that TLS could not use."""
    if not tls:
        return
    import ssl

    problem = "invalid docker endpoint options: failed to retrieve context tls info"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if "ca.pem" in tls:
        try:
            context.load_verify_locations(cadata=tls["ca.pem"].decode("ascii"))
        except (ssl.SSLError, ValueError):
            raise InvalidArgument(f"{problem}: ca.pem seems invalid") from None
    if ("cert.pem" in tls) != ("key.pem" in tls):
        raise InvalidArgument(f"{problem}: invalid key or certificate data: both cert and key are needed")
    if "cert.pem" in tls:
        try:
            context.load_cert_chain(fields["cert"], fields["key"])
        except (ssl.SSLError, OSError) as error:
            raise InvalidArgument(f"{problem}: {error}") from None
