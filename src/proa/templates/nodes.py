"""The tree of a template. Each node knows where it stands and prints itself as Go's messages show it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Node:
    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position


class Text(Node):
    __slots__ = ("text",)

    def __init__(self, position: int, text: str) -> None:
        self.position = position
        self.text = text


class Literal(Node):
    """A constant: `kind` is "string", "number", "bool" or "nil"; `text` is how it was written."""

    __slots__ = ("kind", "text", "value")

    def __init__(self, position: int, kind: str, text: str, value: Any) -> None:
        self.position = position
        self.kind = kind
        self.text = text
        self.value = value

    def __str__(self) -> str:
        return self.text


class Dot(Node):
    """The current value, with fields taken of it; with a name, a variable's value."""

    __slots__ = ("fields", "variable")

    def __init__(self, position: int, fields: list[str], variable: str = "") -> None:
        self.position = position
        self.fields = fields
        self.variable = variable

    def __str__(self) -> str:
        return (self.variable + "".join(f".{name}" for name in self.fields)) or "."


class Call(Node):
    """The name of a function."""

    __slots__ = ("name",)

    def __init__(self, position: int, name: str) -> None:
        self.position = position
        self.name = name

    def __str__(self) -> str:
        return self.name


class Chain(Node):
    """Fields of what a pipeline in parentheses or a function gives."""

    __slots__ = ("fields", "inner")

    def __init__(self, position: int, inner: Node, fields: list[str]) -> None:
        self.position = position
        self.inner = inner
        self.fields = fields

    def __str__(self) -> str:
        return operand_text(self.inner) + "".join(f".{name}" for name in self.fields)


class Command(Node):
    """What stands between two "|": a value, or a function or method with its arguments."""

    __slots__ = ("operands",)

    def __init__(self, position: int, operands: list[Node]) -> None:
        self.position = position
        self.operands = operands

    def __str__(self) -> str:
        return " ".join(operand_text(operand) for operand in self.operands)


class Pipeline(Node):
    """Commands, each given the result of the one before, and the variables that get the last result."""

    __slots__ = ("assigns", "commands", "variables")

    def __init__(self, position: int, variables: list[str], assigns: bool, commands: list[Command]) -> None:
        self.position = position
        self.variables = variables
        self.assigns = assigns  # "=" instead of ":="
        self.commands = commands

    def __str__(self) -> str:
        names = f"{', '.join(self.variables)} {'=' if self.assigns else ':='} " if self.variables else ""
        return names + " | ".join(str(command) for command in self.commands)


class Output(Node):
    """{{pipeline}}"""

    __slots__ = ("pipeline",)

    def __init__(self, position: int, pipeline: Pipeline) -> None:
        self.position = position
        self.pipeline = pipeline


class Branch(Node):
    """{{if}}, {{with}} or {{range}}; `otherwise` is what stands behind {{else}}."""

    __slots__ = ("body", "kind", "otherwise", "pipeline")

    def __init__(
        self, position: int, kind: str, pipeline: Pipeline, body: list[Node], otherwise: list[Node]
    ) -> None:
        self.position = position
        self.kind = kind
        self.pipeline = pipeline
        self.body = body
        self.otherwise = otherwise


class Jump(Node):
    """{{break}} or {{continue}}"""

    __slots__ = ("kind",)

    def __init__(self, position: int, kind: str) -> None:
        self.position = position
        self.kind = kind


class Use(Node):
    """{{template "name" pipeline}}"""

    __slots__ = ("name", "pipeline")

    def __init__(self, position: int, name: str, pipeline: Pipeline | None) -> None:
        self.position = position
        self.name = name
        self.pipeline = pipeline

    def __str__(self) -> str:
        from proa.templates.lexer import quoted

        given = f" {self.pipeline}" if self.pipeline else ""
        return f"{{{{template {quoted(self.name)}{given}}}}}"


def operand_text(operand: Node) -> str:
    return f"({operand})" if isinstance(operand, Pipeline) else str(operand)
