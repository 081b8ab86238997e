"""`inspect` of all kinds: what the engine answers, as one JSON list or through a template for each object."""

from __future__ import annotations

from proa.cli.errors import Failure
from proa.errors import ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from proa.cli.command import Invocation
    from proa.client.client import Client

    Getter = Callable[[Client, str, dict[str, str]], Any]
    Finder = Callable[[str], Any]

FORMAT_FLAG = ("format", "f", "string", "How to show it ('json' or a Go template)")
SIZE_FLAG = ("size", "s", "", "Show sizes of containers")
_PARSE_FAILED = 64


def container(client: Client, name: str, parameters: dict[str, str]) -> Any:
    return client.get(f"/containers/{name}/json", **parameters)


def image(client: Client, name: str, _parameters: dict[str, str]) -> Any:
    return client.get(f"/images/{name}/json")


def volume(client: Client, name: str, _parameters: dict[str, str]) -> Any:
    return client.get(f"/volumes/{name}")


def network(client: Client, name: str, _parameters: dict[str, str]) -> Any:
    return client.get(f"/networks/{name}")


def of_engine(invocation: Invocation, get: Getter, parameters: dict[str, str] | None = None) -> Finder:
    """Return what finds an object of the engine by its name."""
    return lambda name: get(invocation.client, name, parameters or {})


def shaped(value: Any) -> Any:
    """Return an object as docker's templates see it; those of networks and volumes have to be told of."""
    if isinstance(value, dict) and ("EnableIPv6" in value or "Mountpoint" in value):
        from proa.cli.formatting import shapes

        return shapes.network(value) if "EnableIPv6" in value else shapes.volume(value)
    return value


def inspect(invocation: Invocation, find: Finder, form: str, escape: bool = False) -> int:
    """Print what `find` finds for each argument; returns the exit code, 1 when something is missing.

    `escape` writes <, > and & in JSON as Go's json.Marshal does unless it is told not to.
    """
    show = None if form == "json" else renderer(form)
    found, errors = [], []
    for name in invocation.arguments:
        try:
            found.append(find(name))
        except ProaError as error:
            errors.append(str(error))
    try:
        _print(invocation, found, show, compact=form == "json", escape=escape)
    finally:
        for text in errors:
            invocation.warn(text)
    return int(bool(errors))


def renderer(form: str) -> Callable[[Any], str] | None:
    """Return what makes a line of an object by `--format`, None without one. Raises `Failure`."""
    if not form:
        return None
    from proa.templates.syntax import TemplateError
    from proa.templates.template import Template

    try:
        return Template("{{json .}}" if form == "json" else form).render
    except TemplateError as error:
        raise Failure(f"template parsing error: {error.message}", _PARSE_FAILED) from None


def escaped(text: str) -> str:
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _print(
    invocation: Invocation, found: list[Any], show: Callable[[Any], str] | None, *, compact: bool, escape: bool
) -> None:
    if show is None:
        import json  # here: a template does without, and so is twice as fast

        layout: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 4}
        text = json.dumps(found, ensure_ascii=False, **layout)
        invocation.print(escaped(text) if escape else text)
        return
    if not found:
        invocation.print("")
    for value in found:
        try:
            invocation.print(show(shaped(value)))
        except ProaError as error:
            invocation.print("")
            raise Failure(f"template parsing error: {error}") from None
