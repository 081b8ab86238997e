"""Go templates for `--format`: `Template(text).render(data)`.

Data is what JSON decodes to, or a `Fields` object that knows its own names (a row of a listing). Fields are looked
up by docker's JSON name or by Go's, which differ in case ("Id", "ID").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from proa.templates.functions import FUNCTIONS, LAZY, FunctionError, show, truth
from proa.templates.syntax import (
    Branch,
    Call,
    Dot,
    Group,
    Jump,
    Literal,
    Node,
    Operand,
    Output,
    Pipeline,
    TemplateError,
    Text,
    parse,
)
from proa.templates.values import Absent, Fields, Map, typed


class _Leave(Exception):
    """{{break}} or {{continue}} on its way to the range around it."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Template:
    """A parsed template. Raises `TemplateError` for one that is wrong."""

    def __init__(self, text: str) -> None:
        self._nodes = parse(text)
        self.text = text

    def render(self, data: Any) -> str:
        """Return the template's output for `data`. Raises `TemplateError` where the data does not fit."""
        output: list[str] = []
        data = typed("", data)
        _Run(data, output.append).nodes(self._nodes, data)
        return "".join(output)


class _Run:
    """One execution: variables live in `scopes`, the innermost last."""

    def __init__(self, root: Any, write: Callable[[str], None]) -> None:
        self._scopes: list[dict[str, Any]] = [{"$": root}]
        self._write = write

    def nodes(self, nodes: Iterable[Node], dot: Any) -> None:
        for node in nodes:
            if isinstance(node, Text):
                self._write(node.text)
            elif isinstance(node, Output):
                value = self._pipeline(node.pipeline, dot)
                if not node.pipeline.variables:
                    self._write(show(value))
            elif isinstance(node, Jump):
                raise _Leave(node.kind)
            else:
                self._branch(node, dot)

    def _branch(self, node: Branch, dot: Any) -> None:
        self._scopes.append({})
        try:
            if node.kind == "range":
                self._range(node, dot)
                return
            value = self._pipeline(node.pipeline, dot)
            if not truth(value):
                self.nodes(node.otherwise, dot)
            else:
                self.nodes(node.body, value if node.kind == "with" else dot)
        finally:
            self._scopes.pop()

    def _range(self, node: Branch, dot: Any) -> None:
        names = node.pipeline.variables
        value = self._evaluate(node.pipeline, dot)
        items = _items(value)
        if not items:
            self.nodes(node.otherwise, dot)
        for key, item in items:
            self._scopes.append(dict(zip(names, (key, item) if len(names) > 1 else (item,), strict=False)))
            try:
                self.nodes(node.body, item)
            except _Leave as leave:
                if leave.kind == "break":
                    break
            finally:
                self._scopes.pop()

    def _pipeline(self, pipeline: Pipeline, dot: Any) -> Any:
        value = self._evaluate(pipeline, dot)
        for name in pipeline.variables:
            if pipeline.declares:
                self._scopes[-1][name] = value
            else:
                self._scope_of(name)[name] = value
        return value

    def _evaluate(self, pipeline: Pipeline, dot: Any) -> Any:
        extra: tuple[Any, ...] = ()
        value: Any = None
        for command in pipeline.commands:
            value = self._command(command, extra, dot)
            extra = (value,)
        return value

    def _command(self, command: list[Operand], extra: tuple[Any, ...], dot: Any) -> Any:
        first, *rest = command
        if isinstance(first, Call):
            return self._call(first.name, rest, extra, dot)
        if isinstance(first, Dot):
            arguments = [self._operand(operand, dot) for operand in rest]
            return self._fields(self._base(first, dot), first.fields, first.text, [*arguments, *extra])
        if rest or extra:
            raise TemplateError("template: :1: can't give argument to non-function")
        return self._operand(first, dot)

    def _call(self, name: str, operands: list[Operand], extra: tuple[Any, ...], dot: Any) -> Any:
        try:
            if name in LAZY:  # and, or: the first value that decides ends it
                value: Any = None
                for operand in operands:
                    value = self._operand(operand, dot)
                    if truth(value) is LAZY[name]:
                        return value
                return extra[0] if extra else value
            if name not in FUNCTIONS:
                raise TemplateError(f'template: :1: function "{name}" not defined')
            return FUNCTIONS[name](*(self._operand(operand, dot) for operand in operands), *extra)
        except FunctionError as error:
            raise TemplateError(f'template: :1: executing "" at <{name}>: error calling {name}: {error}') from None
        except TypeError:
            raise TemplateError(f'template: :1: executing "" at <{name}>: wrong arguments for {name}') from None

    def _operand(self, operand: Operand, dot: Any) -> Any:
        if isinstance(operand, Literal):
            return operand.value
        if isinstance(operand, Dot):
            return self._fields(self._base(operand, dot), operand.fields, operand.text, [])
        if isinstance(operand, Group):
            return self._fields(self._pipeline(operand.pipeline, dot), operand.fields, "(…)", [])
        return self._call(operand.name, [], (), dot)

    def _base(self, operand: Dot, dot: Any) -> Any:
        if not operand.variable:
            return dot
        return self._scope_of(operand.variable)[operand.variable]

    def _scope_of(self, name: str) -> dict[str, Any]:
        for scope in self._scopes[::-1]:
            if name in scope:
                return scope
        raise TemplateError(f'template: :1: undefined variable "{name}"')

    def _fields(self, value: Any, fields: list[str], text: str, arguments: list[Any]) -> Any:
        for position, name in enumerate(fields):
            last = position == len(fields) - 1
            value = _field(value, name, text, arguments if last else [])
        if not fields and arguments:
            raise TemplateError(f"template: :1: can't give argument to non-function {text}")
        return value


def _field(value: Any, name: str, text: str, arguments: list[Any]) -> Any:
    where = f'template: :1:2: executing "" at <{text}>: '
    if isinstance(value, Fields):
        if not value.has(name):
            raise TemplateError(f"{where}can't evaluate field {name} in type {value.type_name}")
        return value.get(name, *arguments)
    if isinstance(value, Absent):
        raise TemplateError(f"{where}nil pointer evaluating {name}")
    if not isinstance(value, Mapping):
        raise TemplateError(f"{where}can't evaluate field {name} in type {type(value).__name__}")
    if arguments:
        raise TemplateError(f"{where}{name} has arguments but cannot be invoked as function")
    if name not in value:
        lower = name.lower()
        name = next((key for key in value if str(key).lower() == lower), name)
    if name in value and value[name] is not None:
        return value[name]
    if isinstance(value, Map) and name not in value:
        return None
    if name in value or Absent.expected(name):
        return Absent(name)
    raise TemplateError(f'{where}map has no entry for key "{name}"')


def _items(value: Any) -> list[tuple[Any, Any]]:
    """Return (index or key, item) as range sees them; maps are sorted by key."""
    if isinstance(value, Mapping):
        return [(key, value[key]) for key in sorted(value)]
    if isinstance(value, int) and not isinstance(value, bool):
        return [(number, number) for number in range(value)]
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if value is None or isinstance(value, Absent):
        return []
    raise TemplateError(f"template: :1: range can't iterate over {show(value)}")
