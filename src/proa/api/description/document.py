"""The document itself: `python -m proa.api.description.document` prints it, the engine serves it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from proa import __version__
from proa.api.description import containers, images, others
from proa.api.description.operation import JSON, Operation, Parameter
from proa.api.endpoints import ENDPOINTS
from proa.api.router import Endpoint
from proa.api.versions import CURRENT, MINIMUM, text

OPERATIONS: dict[str, Operation] = {
    **containers.OPERATIONS,
    **images.OPERATIONS,
    **others.OPERATIONS,
}  # by handler

_REFERENCE = "#/components/schemas/{name}"
_ABOUT = (
    "The Docker Engine API as Proa serves it, on a unix socket by default. Answers are free-form here: their "
    "fields are those of Docker's own. Booleans are true for every text but the empty one, 0, no, false and none. "
    "A name in a path may have slashes."
)
_STATUS = {
    101: "The connection is the stream from here on", 200: "Done", 201: "Made", 204: "Done",
    304: "It was so already",
}  # fmt: skip
_PATH_NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "Identifier, the unique beginning of one, or name",
    "schema": {"type": "string", "minLength": 1},
}
_ERROR = {
    "description": "What went wrong, and why",
    "content": {
        JSON: {
            "schema": {
                "type": "object",
                "required": ["message"],
                "properties": {"message": {"type": "string"}},
            }
        }
    },
}


def document() -> dict[str, Any]:
    """Return the description of the whole API."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        described = _operation(endpoint, OPERATIONS[endpoint.handler])
        paths.setdefault(endpoint.pattern, {})[endpoint.method.lower()] = described
    bodies = [operation.body for operation in OPERATIONS.values() if isinstance(operation.body, type)]
    _, schemas = msgspec.json.schema_components(bodies, ref_template=_REFERENCE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Proa",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {
                "url": "/v{version}",
                "variables": {"version": {"default": text(CURRENT), "enum": list(_versions())}},
            },
            {"url": "/", "description": "The newest version"},
        ],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _versions() -> Iterable[str]:
    for minor in range(MINIMUM[1], CURRENT[1] + 1):
        yield text((CURRENT[0], minor))


def _operation(endpoint: Endpoint, operation: Operation) -> dict[str, Any]:
    parameters = [_parameter(parameter) for parameter in operation.parameters]
    if "{name}" in endpoint.pattern:
        parameters.insert(0, _PATH_NAME)
    described: dict[str, Any] = {
        "operationId": _identifier(endpoint),
        "summary": operation.summary,
        "tags": [endpoint.pattern.split("/")[1]],
        "parameters": parameters,
        "responses": {
            **{str(status): _answer(status, media) for status, media in operation.answers.items()},
            "default": _ERROR,
        },
    }
    if operation.body is not None:
        described["requestBody"] = _body(operation.body)
    return described


def _identifier(endpoint: Endpoint) -> str:
    words = endpoint.pattern.replace("{name}", "one").replace("/", " ").replace("_", " ").split()
    if endpoint.pattern.endswith("/"):
        words.append("slash")
    return "_".join([endpoint.method.lower(), *words]).replace(".", "_")


def _parameter(parameter: Parameter) -> dict[str, Any]:
    in_header = parameter.read == "header"
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": "header" if in_header else "query",
        "description": parameter.meaning,
    }
    if parameter.required:
        described["required"] = True
    if parameter.since > MINIMUM:
        described["description"] += f"; since {text(parameter.since)}"
    if parameter.read == "filters":
        described["content"] = {JSON: {"schema": parameter.schema}}
    else:
        described["schema"] = parameter.schema
    return described


def _body(body: type | str) -> dict[str, Any]:
    if isinstance(body, str):
        return {"content": {body: {"schema": {"type": "string", "format": "binary"}}}}
    return {"content": {JSON: {"schema": {"$ref": _REFERENCE.format(name=body.__name__)}}}}


def _answer(status: int, media: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": _STATUS[status]}
    if media:
        answer["content"] = {media: {} if media == JSON else {"schema": {"type": "string", "format": "binary"}}}
    return answer


if __name__ == "__main__":
    print(msgspec.json.format(msgspec.json.encode(document())).decode())
