"""A value for a JSON schema: mostly a sensible one, now and then an odd or a wrong one."""

from __future__ import annotations

import random
from typing import Any

from rig.fuzzing import hints

_DEEPEST = 6
_REFERENCE = "#/components/schemas/"
_WRONG: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    1e300,
    "x",
    "",
    [],
    {},
    [[]],
    [None],
    {"": None},
    [{}],
    "9" * 30,
    {"x": {"y": {"z": []}}},
)


class Values:
    """`oddity`: how often a value is not a sensible one, from 0 to 1."""

    def __init__(self, chance: random.Random, schemas: dict[str, Any], oddity: float = 0.08) -> None:
        self.chance = chance
        self._schemas = schemas
        self.oddity = oddity

    def odd(self) -> bool:
        return self.chance.random() < self.oddity

    def text(self) -> str:
        """An odd text, or a random one."""
        if self.chance.random() < 0.8:
            return self.chance.choice(hints.ODD_TEXTS)
        return "".join(
            chr(self.chance.choice((self.chance.randrange(1, 128), self.chance.randrange(0x2000))))
            for _ in range(self.chance.randrange(12))
        )

    def body(self, name: str, base: dict[str, Any] | None = None, fields: int = 3) -> dict[str, Any]:
        """A body of the type `name`: what `base` has, and a few of its fields filled."""
        properties = self._schemas[name].get("properties", {})
        made = dict(base or {})
        wanted = self.chance.sample(sorted(properties), min(len(properties), self.chance.randrange(fields + 1)))
        for field in wanted:
            made[field] = self.value(properties[field], field)
        if self.odd():
            made[self.text()] = self.chance.choice(_WRONG)
        return made

    def value(self, schema: dict[str, Any], name: str = "", depth: int = 0) -> Any:
        if self.odd():
            return self.chance.choice(_WRONG)
        if name in hints.FIELDS and self.chance.random() < 0.9:
            return self.chance.choice(hints.FIELDS[name])
        if "$ref" in schema:
            return self._object(self._schemas[schema["$ref"].removeprefix(_REFERENCE)], depth)
        if "anyOf" in schema:
            return self.value(self.chance.choice(schema["anyOf"]), name, depth)
        if "enum" in schema:
            return self.chance.choice(schema["enum"])
        return self._plain(schema, name, depth)

    def _plain(self, schema: dict[str, Any], name: str, depth: int) -> Any:
        kind = schema.get("type")
        if kind == "string":
            return self.text() if self.chance.random() < 0.5 else "x"
        if kind == "integer":
            return self.chance.choice(hints.ODD_NUMBERS)
        if kind == "number":
            return self.chance.choice((0.0, 0.5, -1.0, 1e300))
        if kind == "boolean":
            return self.chance.random() < 0.5
        if kind == "array":
            items = schema.get("items", {"type": "string"})
            return [self.value(items, "", depth + 1) for _ in range(self._few(depth))]
        if kind == "object":
            if "properties" in schema:
                return self._object(schema, depth)
            values = schema.get("additionalProperties") or {"type": "string"}
            values = values if isinstance(values, dict) else {"type": "string"}
            return {self.text(): self.value(values, "", depth + 1) for _ in range(self._few(depth))}
        return None

    def _object(self, schema: dict[str, Any], depth: int) -> Any:
        properties = schema.get("properties", {})
        if depth >= _DEEPEST:
            return {}
        return {
            field: self.value(inner, field, depth + 1)
            for field, inner in properties.items()
            if self.chance.random() < (0.12 if len(properties) > 12 else 0.6)
        }

    def _few(self, depth: int) -> int:
        return 0 if depth >= _DEEPEST else self.chance.choice((0, 1, 1, 2, 3))
