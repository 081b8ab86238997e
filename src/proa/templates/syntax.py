"""The grammar of Go templates (text/template): from text to a tree of nodes.

Known: actions with trim markers, comments, pipelines, variables, parentheses, literals, if/else, range, with,
break, continue. Not known: define, template, block, which have no use in one `--format`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from proa.errors import InvalidArgument

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<raw>`[^`]*`)
    |(?P<character>'(?:[^'\\]|\\.)')
    |(?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?))
    |(?P<variable>\$\w*)
    |(?P<field>\.\w+)
    |(?P<dot>\.)
    |(?P<declare>:=)
    |(?P<word>\w+)
    |(?P<symbol>[|(),=])""",
    re.VERBOSE,
)
_KEYWORDS = ("if", "range", "with", "else", "end", "break", "continue")


class TemplateError(InvalidArgument):
    """A template that cannot be parsed, or fails on its data."""


@dataclass(slots=True)
class Text:
    text: str


@dataclass(slots=True)
class Literal:
    value: Any


@dataclass(slots=True)
class Dot:
    """The current value, a variable or the root, with fields taken of it. `text` is how it was written."""

    text: str
    fields: list[str]
    variable: str = ""  # "$", "$x"; "" for the current value


@dataclass(slots=True)
class Call:
    name: str


@dataclass(slots=True)
class Group:
    """A pipeline in parentheses, with fields taken of its value."""

    pipeline: Pipeline
    fields: list[str]


Operand = Literal | Dot | Call | Group


@dataclass(slots=True)
class Pipeline:
    commands: list[list[Operand]]
    variables: list[str] = field(default_factory=list)  # declared or assigned
    declares: bool = False


@dataclass(slots=True)
class Output:
    pipeline: Pipeline


@dataclass(slots=True)
class Branch:
    """if, with or range; `otherwise` is what stands behind else."""

    kind: str
    pipeline: Pipeline
    body: list[Node]
    otherwise: list[Node]


@dataclass(slots=True)
class Jump:
    kind: str  # break, continue


Node = Text | Output | Branch | Jump


def parse(text: str) -> list[Node]:
    """Return the nodes of a template. Raises `TemplateError` in Go's words."""
    parser = _Parser(_split(text))
    nodes, end = parser.nodes(())
    if end:
        raise _error(f"unexpected {{{{{end}}}}}")
    return nodes


def _error(message: str) -> TemplateError:
    return TemplateError(f"template: :1: {message}")


def _split(text: str) -> list[Text | str]:
    """Return texts and the insides of actions in turn; trim markers and comments are gone."""
    parts: list[Text | str] = []
    trim = False
    while True:
        before, opening, rest = text.partition("{{")
        if opening and rest[:1] == "-" and rest[1:2].isspace():
            before, rest = before.rstrip(), rest[1:]
        parts.append(Text(before.lstrip() if trim else before))
        if not opening:
            return parts
        end = _action_end(rest)
        action, text = rest[:end], rest[end + 2 :]
        trim = action.endswith("-") and action[-2:-1].isspace()
        action = (action[:-1] if trim else action).strip()
        if action.startswith("/*"):
            if not action.endswith("*/"):
                raise _error("unclosed comment")
        else:
            parts.append(action)


def _action_end(text: str) -> int:
    """Return where "}}" ends the action that `text` begins with; one in a string does not."""
    if text.lstrip("- \t\n").startswith("/*"):
        end = text.find("}}", text.find("*/"))
        if end < 0:
            raise _error("unclosed comment")
        return end
    position = 0
    while position < len(text):
        if text.startswith("}}", position):
            return position
        match = _TOKEN.match(text, position)
        position = match.end() if match else position + 1
    raise _error("unclosed action")


class _Parser:
    def __init__(self, parts: list[Text | str]) -> None:
        self._parts = parts
        self._position = 0

    def nodes(self, ends: tuple[str, ...]) -> tuple[list[Node], str]:
        """Parse up to an action that begins with one of `ends`; returns that action, "" at the end of the text."""
        found: list[Node] = []
        while self._position < len(self._parts):
            part = self._parts[self._position]
            self._position += 1
            if isinstance(part, Text):
                if part.text:
                    found.append(part)
                continue
            word, _, rest = part.partition(" ")
            if word in ("else", "end"):
                if word not in ends:
                    raise _error(f"unexpected {{{{{word}}}}}")
                return found, part
            if word in ("break", "continue"):
                found.append(Jump(word))
            elif word in _KEYWORDS:
                found.append(self._branch(word, rest))
            else:
                found.append(Output(_Expression(part).pipeline()))
        if ends:
            raise _error("unexpected EOF")
        return found, ""

    def _branch(self, kind: str, text: str) -> Branch:
        if not text.strip():
            raise _error(f"missing value for {kind}")
        pipeline = _Expression(text).pipeline()
        body, end = self.nodes(("else", "end"))
        otherwise: list[Node] = []
        if end.startswith("else"):
            word, _, rest = end[4:].strip().partition(" ")
            if word in ("if", "with"):
                otherwise = [self._branch(word, rest)]  # takes the {{end}} too
            elif word:
                raise _error(f"unexpected <{word}> in else")
            else:
                otherwise, _ = self.nodes(("end",))
        return Branch(kind, pipeline, body, otherwise)


class _Expression:
    """Parses the inside of one action."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._position = 0

    def pipeline(self) -> Pipeline:
        result = self._pipeline()
        if self._position < len(self._tokens):
            raise _error(f'unexpected "{self._tokens[self._position][1]}" in operand')
        return result

    def _pipeline(self) -> Pipeline:
        variables, declares = self._declaration()
        commands = [self._command()]
        while self._take("|"):
            commands.append(self._command())
        return Pipeline(commands, variables, declares)

    def _declaration(self) -> tuple[list[str], bool]:
        """Parse "$i, $x :=" or "$x =" if that is what comes."""
        start = self._position
        names = []
        while self._kind() == "variable":
            names.append(self._next())
            self._skip_space()
            if not self._take(","):
                break
            self._skip_space()
        if names and (self._take(":=") or self._take("=")):
            return names, self._tokens[self._position - 1][1] == ":="
        self._position = start
        return [], False

    def _command(self) -> list[Operand]:
        operands: list[Operand] = []
        while True:
            self._skip_space()
            kind = self._kind()
            if not kind or (kind == "symbol" and self._tokens[self._position][1] != "("):
                break
            operands.append(self._operand())
        if not operands:
            raise _error("missing value for command")
        return operands

    def _operand(self) -> Operand:
        kind = self._kind()
        text = self._next()
        if kind == "symbol":
            inner = self._pipeline()
            if not self._take(")"):
                raise _error("unclosed left paren")
            return Group(inner, self._fields())
        if kind in ("field", "dot", "variable"):
            fields = self._fields()
            written = text + "".join(f".{name}" for name in fields)
            if kind == "field":
                fields.insert(0, text[1:])
            return Dot(written, fields, text if kind == "variable" else "")
        if kind == "word":
            if text in ("true", "false", "nil"):
                return Literal({"true": True, "false": False, "nil": None}[text])
            return Call(text)
        return Literal(_literal(kind, text))

    def _fields(self) -> list[str]:
        fields = []
        while self._kind() == "field":
            fields.append(self._next()[1:])
        return fields

    def _kind(self) -> str:
        return self._tokens[self._position][0] if self._position < len(self._tokens) else ""

    def _next(self) -> str:
        self._position += 1
        return self._tokens[self._position - 1][1]

    def _skip_space(self) -> None:
        while self._kind() == "space":
            self._position += 1

    def _take(self, symbol: str) -> bool:
        self._skip_space()
        if self._position < len(self._tokens) and self._tokens[self._position][1] == symbol:
            self._position += 1
            return True
        return False


def _tokens(text: str) -> list[tuple[str, str]]:
    found = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            character = text[position]
            if character in "\"'`":
                raise _error("unterminated quoted string")
            raise _error(f'unexpected "{character}" in operand')
        found.append((str(match.lastgroup), match.group()))
        position = match.end()
    return found


def _literal(kind: str, text: str) -> Any:
    if kind == "raw":
        return text[1:-1]
    if kind == "number":
        return int(text, 0) if re.fullmatch(r"[-+]?(0[xX][0-9a-fA-F]+|[0-9]+)", text) else float(text)
    inner = text[1:-1].replace("\\'", "'") if kind == "character" else text[1:-1]
    try:
        value = json.loads('"' + re.sub(r"\\x([0-9a-fA-F]{2})", r"\\u00\1", inner).replace("\\a", "\\u0007") + '"')
    except ValueError:
        raise _error(f"invalid syntax: {text}") from None
    return ord(value) if kind == "character" else value
