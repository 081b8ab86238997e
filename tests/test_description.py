"""The description of the API and its routes agree: what a handler reads is described, and nothing else is.

What a handler reads is found in its source, and in that of the functions of `proa.api` that it calls: calls of
`query.text("name")` and the like, of `request.headers.get("name")`, and what its body is converted to.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import pytest

from proa.api.description.document import OPERATIONS, document
from proa.api.endpoints import ENDPOINTS

HANDLERS = {endpoint.handler: endpoint.resolve() for endpoint in ENDPOINTS}
QUERY = {"text", "flag", "integer", "size", "all", "filters"}
CONSTRUCTORS = {"all": "several"}  # of proa.api.description.operation; the others are named like the reading
# How bodies arrive and clients behave, not what they ask for.
MECHANICS = {"user-agent", "transfer-encoding", "content-type", "accept-encoding"}
MECHANICAL_PREFIX = "sec-websocket-"


class Reading(NamedTuple):
    name: str
    kind: str  # a method of Query, "header" or "body"


def readings(function: Any, seen: set[Any]) -> Iterator[Reading]:
    """What a function reads of the request, itself and by functions of the API that it calls."""
    if function in seen:
        return
    seen.add(function)
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if isinstance(node, ast.Call):
            yield from _reading(node)
            called = _called(node.func, function.__globals__)
            if isinstance(called, FunctionType) and called.__module__.startswith("proa.api"):
                yield from readings(called, seen)


def _reading(call: ast.Call) -> Iterator[Reading]:
    if isinstance(call.func, ast.Name):
        if call.func.id == "convert":
            yield Reading(_last_word(call.args[1]), "body")
        return
    if not isinstance(call.func, ast.Attribute):
        return  # the call of a call's result
    method, owner = call.func.attr, _last_word(call.func.value)
    if owner == "query" and method in QUERY:
        yield Reading("filters" if method == "filters" else _constant(call), method)
    elif owner == "headers" and method == "get":
        name = _constant(call)
        if name not in MECHANICS and not name.startswith(MECHANICAL_PREFIX):
            yield Reading(name, "header")
    elif owner == "request" and method == "json":
        yield Reading(_last_word(call.args[0]), "body")


def _last_word(node: ast.expr) -> str:
    """The name of what stands there: "query" for `query` and for `request.query`."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _constant(call: ast.Call) -> str:
    assert call.args and isinstance(call.args[0], ast.Constant), (
        f"{ast.unparse(call)}: write the name out, so that the description can be held against it"
    )
    return str(call.args[0].value)


def _called(node: ast.expr, scope: dict[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return scope.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        module = scope.get(node.value.id)
        return getattr(module, node.attr, None) if isinstance(module, ModuleType) else None
    return None


def described(handler: str) -> set[Reading]:
    operation = OPERATIONS[handler]
    found = {
        Reading(each.name.lower() if each.read == "header" else each.name, each.read)
        for each in operation.parameters
    }
    if isinstance(operation.body, type):
        found.add(Reading(operation.body.__name__, "body"))
    return found


def entry(handler: str, read: set[Reading]) -> str:
    """A draft of what is missing in the description."""
    words = []
    for name, kind in sorted(read):
        if kind != "body":
            arguments = "KEYS" if kind == "filters" else f'"{name}", "MEANING"'
            words.append(f"{CONSTRUCTORS.get(kind, kind)}({arguments})")
    body = "".join(f", body={name}" for name, kind in read if kind == "body")
    parameters = f", ({', '.join(words)},)" if words else ""
    return f'"{handler}": Operation("SUMMARY"{parameters}{body}),'


@pytest.mark.parametrize("handler", HANDLERS)
def test_what_a_handler_reads_is_described(handler: str) -> None:
    read = set(readings(HANDLERS[handler], set()))
    draft = f"in src/proa/api/description:\n{entry(handler, read)}"
    assert handler in OPERATIONS, f"not described: add to a table {draft}"
    assert described(handler) == read, f"described otherwise than read: as it is read it would be, {draft}"


def test_nothing_else_is_described() -> None:
    assert set(OPERATIONS) == set(HANDLERS)


def test_the_document_is_whole() -> None:
    """Every path, every reference resolved, every operation with a name of its own."""
    made = document()
    operations = [
        (path, method, operation)
        for path, methods in made["paths"].items()
        for method, operation in methods.items()
    ]
    assert {(method.upper(), path) for path, method, _ in operations} == {
        (endpoint.method, endpoint.pattern) for endpoint in ENDPOINTS
    }
    identifiers = [operation["operationId"] for _, _, operation in operations]
    assert len(set(identifiers)) == len(identifiers)
    assert all(re.fullmatch(r"[a-z]\w+", each) for each in identifiers)
    for path, _, operation in operations:
        named = [each for each in operation["parameters"] if each["in"] == "path"]
        assert [each["name"] for each in named] == re.findall(r"{(\w+)}", path)
        assert "default" in operation["responses"]
    references = set(re.findall(r"'#/components/schemas/(\w+)'", repr(made)))
    assert references <= set(made["components"]["schemas"])
    assert "1.24" in made["servers"][0]["variables"]["version"]["enum"]
