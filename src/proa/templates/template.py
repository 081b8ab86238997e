"""Go templates for `--format`: `Template(text).render(data)`.

Data is what JSON decodes to, or a `Fields` object that knows its own names (a row of a listing). Fields are looked
up by docker's JSON name or by Go's, which differ in case ("Id", "ID").
"""

from __future__ import annotations

from proa.templates.functions import FUNCTIONS, LAZY, FunctionError, fits
from proa.templates.lexer import TemplateError
from proa.templates.nodes import (
    Branch,
    Call,
    Chain,
    Command,
    Dot,
    Jump,
    Literal,
    Node,
    Output,
    Pipeline,
    Text,
    Use,
    operand_text,
)
from proa.templates.syntax import parse
from proa.templates.values import Absent, Fields, Map, Structure, show, truth, type_name, typed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_LOOKS = frozenset(("json", "lower", "title", "truncate", "upper"))
_DEEPEST = 100  # templates within templates; Go allows 100,000, which is more than a stack of Python holds


class _Leave(Exception):
    """{{break}} or {{continue}} on its way to the range around it."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class _NoValue:
    """There is no value from a command before."""


_MISSING = _NoValue()


class Template:
    """A parsed template. Raises `TemplateError` for one that is wrong."""

    def __init__(self, text: str) -> None:
        try:
            self.nodes, self.definitions = parse(text)
        except RecursionError:
            raise TemplateError("template: :1: too deep: its parts are within too many others") from None
        self.text = text

    def render(self, data: Any, header: bool = False) -> str:
        """Return the template's output for `data`. Raises `TemplateError` where the data does not fit.

        In a `header`, the first line of a table, functions that change the look of a text leave it alone.
        """
        output: list[str] = []
        data = typed("", data)
        try:
            _Run(self, data, output.append, header=header).nodes(self.nodes, data)
        except RecursionError:
            raise TemplateError("template: :1: too deep: its parts are within too many others") from None
        return "".join(output)


class _Run:
    """One execution: variables live in `scopes`, the innermost last."""

    def __init__(
        self, parsed: Template, root: Any, write: Callable[[str], None], name: str = "", header: bool = False
    ) -> None:
        self._parsed = parsed
        self._header = header
        self._scopes: list[dict[str, Any]] = [{"$": root}]
        self._write = write
        self._name = name
        self._depth = 0

    def _error(self, node: Node, message: str) -> TemplateError:
        before = self._parsed.text.encode("utf-8", "surrogatepass")[: node.position]
        line, column = before.count(b"\n") + 1, len(before) - (before.rfind(b"\n") + 1)
        where = f'template: :{line}:{column}: executing "{self._name}" at <{node}>'
        return TemplateError(f"{where}: {message}")

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
            elif isinstance(node, Use):
                self._use(node, dot)
            elif isinstance(node, Branch):
                self._branch(node, dot)

    def _use(self, node: Use, dot: Any) -> None:
        if node.name not in self._parsed.definitions:
            raise self._error(node, f'template "{node.name}" not defined')
        value = self._pipeline(node.pipeline, dot) if node.pipeline else None
        run = _Run(self._parsed, value, self._write, node.name, self._header)
        run._depth = self._depth + 1
        if run._depth > _DEEPEST:
            raise self._error(node, f"exceeded maximum template depth ({_DEEPEST})")
        run.nodes(self._parsed.definitions[node.name], value)

    def _branch(self, node: Branch, dot: Any) -> None:
        self._scopes.append({})
        try:
            if node.kind == "range":
                self._range(node, dot)
                return
            value = self._pipeline(node.pipeline, dot)
            if truth(value):
                self.nodes(node.body, value if node.kind == "with" else dot)
            else:
                self.nodes(node.otherwise, dot)
        finally:
            self._scopes.pop()

    def _range(self, node: Branch, dot: Any) -> None:
        names = node.pipeline.variables
        value = self._evaluate(node.pipeline, dot)
        if not truth(value) or (isinstance(value, int) and value < 0):
            self._items(node.pipeline, value)  # which may be what nothing can iterate over
            self.nodes(node.otherwise, dot)
            return
        for key, item in self._items(node.pipeline, value):
            self._scopes.append({})
            given = dict(zip(names, (key, item) if len(names) > 1 else (item,), strict=False))
            if node.pipeline.assigns:
                for name, each in given.items():
                    self._scope_of(name)[name] = each
            else:
                self._scopes[-1].update(given)
            try:
                self.nodes(node.body, item)
            except _Leave as leave:
                if leave.kind == "break":
                    break
            finally:
                self._scopes.pop()

    def _items(self, node: Node, value: Any) -> Iterable[tuple[Any, Any]]:
        """Return (index or key, item) as range sees them; maps are sorted by key."""
        if isinstance(value, dict):
            return [(key, value[key]) for key in sorted(value)]
        if isinstance(value, int) and not isinstance(value, bool):
            return zip(range(value), range(value), strict=True)
        if isinstance(value, (list, tuple)):
            return enumerate(value)
        if value is None or isinstance(value, Absent):
            return []
        raise self._error(node, f"range can't iterate over {show(value)}")

    def _pipeline(self, pipeline: Pipeline, dot: Any) -> Any:
        value = self._evaluate(pipeline, dot)
        for name in pipeline.variables:
            if pipeline.assigns:
                self._scope_of(name)[name] = value
            else:
                self._scopes[-1][name] = value
        return value

    def _evaluate(self, pipeline: Pipeline, dot: Any) -> Any:
        value: Any = _MISSING
        for command in pipeline.commands:
            value = self._command(command, value, dot)
        return value

    def _command(self, command: Command, final: Any, dot: Any) -> Any:
        first, *rest = command.operands
        if isinstance(first, Call):
            return self._call(first, command, rest, final, dot)
        if isinstance(first, Dot) and first.fields:
            arguments = [self._operand(operand, dot) for operand in rest]
            if final is not _MISSING:
                arguments.append(final)
            return self._fields(self._base(first, dot), first.fields, first, arguments)
        if rest or final is not _MISSING:
            raise self._error(first, f"can't give argument to non-function {operand_text(first)}")
        if isinstance(first, Literal) and first.kind == "nil":
            raise self._error(first, "nil is not a command")
        return self._operand(first, dot)

    def _call(self, node: Call, command: Node, operands: list[Node], final: Any, dot: Any) -> Any:
        function = FUNCTIONS[node.name]
        given = len(operands) + (final is not _MISSING)
        if problem := function.count_problem(given):
            raise self._error(node, f"wrong number of args for {node.name}: {problem}")
        if node.name in LAZY:  # and, or: the first value that decides ends it
            value: Any = None
            for operand in operands:
                value = self._operand(operand, dot)
                if truth(value) is LAZY[node.name]:
                    return value
            return value if final is _MISSING else final
        arguments = [
            self._argument(operand, function.type_of(position), dot) for position, operand in enumerate(operands)
        ]
        if final is not _MISSING:
            wanted = function.type_of(len(operands))
            if not fits(final, wanted):
                raise self._error(command, f"wrong type for value; expected {wanted}; got {type_name(final)}")
            arguments.append(final)
        if node.name == "call":
            raise self._error(
                command, f"error calling call: non-function {operands[0]} of type {type_name(arguments[0])}"
            )
        if self._header and node.name in _LOOKS:
            return arguments[0]
        try:
            return function.call(*arguments)
        except FunctionError as error:
            raise self._error(command, f"error calling {node.name}: {error}") from None

    def _argument(self, operand: Node, wanted: str, dot: Any) -> Any:
        """Return an argument, of the type that is wanted; messages about constants differ from the others."""
        value = self._operand(operand, dot)
        if fits(value, wanted):
            return value
        if not isinstance(operand, Literal):
            raise self._error(operand, f"wrong type for value; expected {wanted}; got {type_name(value)}")
        if wanted in ("string", "int"):
            name = "integer" if wanted == "int" else wanted
            raise self._error(operand, f"expected {name}; found {operand}")
        raise self._error(operand, f"can't handle {operand} for arg of type {wanted}")

    def _operand(self, operand: Node, dot: Any) -> Any:
        if isinstance(operand, Literal):
            return operand.value
        if isinstance(operand, Dot):
            return self._fields(self._base(operand, dot), operand.fields, operand, [])
        if isinstance(operand, Pipeline):
            return self._pipeline(operand, dot)
        if isinstance(operand, Chain):
            return self._fields(self._operand(operand.inner, dot), operand.fields, operand, [])
        assert isinstance(operand, Call)
        return self._call(operand, operand, [], _MISSING, dot)

    def _base(self, operand: Dot, dot: Any) -> Any:
        return self._scope_of(operand.variable)[operand.variable] if operand.variable else dot

    def _scope_of(self, name: str) -> dict[str, Any]:
        return next(scope for scope in self._scopes[::-1] if name in scope)

    def _fields(self, value: Any, fields: list[str], node: Node, arguments: list[Any]) -> Any:
        within = "interface {}" if isinstance(value, dict) else ""
        for position, name in enumerate(fields):
            last = position == len(fields) - 1
            found = self._field(value, name, node, arguments if last else [], within)
            within = "interface {}" if isinstance(value, dict) else ""
            value = found
        return value

    def _field(self, value: Any, name: str, node: Node, arguments: list[Any], within: str) -> Any:
        """Return a field; `within` is what the type is called when the value comes from a map."""
        if isinstance(value, Fields):
            return self._field_of_row(value, name, node, arguments)
        if isinstance(value, Absent) and value.text == "map[]":
            return None  # a map without anything in it
        if isinstance(value, Absent) or value is None:
            raise self._error(node, f"nil pointer evaluating {'interface {}.' if value is None else ''}{name}")
        if not isinstance(value, dict):
            raise self._error(node, f"can't evaluate field {name} in type {within or type_name(value)}")
        if arguments:
            raise self._error(node, f"{name} has arguments but cannot be invoked as function")
        if name not in value:
            lower = name.lower()
            name = next((key for key in value if str(key).lower() == lower), name)
        if name in value and value[name] is not None:
            return value[name]
        if isinstance(value, Map) and name not in value:
            return None
        if isinstance(value, Structure) and (zero := value.zero(name)) is not None:
            return typed(name, zero, texts=zero == {})
        if isinstance(value, Structure) and value.type_name:
            raise self._error(node, f"can't evaluate field {name} in type {value.type_name}")
        if name in value or Absent.expected(name):
            return Absent(name)
        raise self._error(node, f'map has no entry for key "{name}"')

    def _field_of_row(self, row: Fields, name: str, node: Node, arguments: list[Any]) -> Any:
        if not row.has(name):
            raise self._error(node, f"can't evaluate field {name} in type {row.type_name}")
        wanted = 1 if name == "Label" else 0
        if len(arguments) != wanted:
            raise self._error(node, f"wrong number of args for {name}: want {wanted} got {len(arguments)}")
        return row.get(name, *arguments)
