"""The grammar of Go templates (text/template): from tokens to a tree of nodes. Messages are Go's."""

from __future__ import annotations

from proa.templates.functions import FUNCTIONS
from proa.templates.lexer import TemplateError, Token, quoted, syntax_error, tokens
from proa.templates.literals import character, number, string
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

__all__ = ["TemplateError", "parse"]

_TERMS = frozenset((
    "bool", "character", "dot", "field", "identifier", "number", "nil", "raw", "string", "variable", "(",
))  # fmt: skip


def parse(text: str) -> tuple[list[Node], dict[str, list[Node]]]:
    """Return the nodes of a template and those of the templates it defines. Raises `TemplateError`."""
    parser = _Parser(tokens(text))
    nodes, _ = parser.nodes(("end of text",))
    return nodes, parser.definitions


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self.definitions: dict[str, list[Node]] = {}
        self._tokens = found
        self._at = 0
        self._variables = ["$"]
        self._ranges = 0

    # Tokens

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next_word(self) -> Token:
        """Return the next token that is not space."""
        self._skip_space()
        return self._next()

    def _skip_space(self) -> None:
        while self._peek().kind == "space":
            self._at += 1

    def _error(self, message: str, token: Token | None = None) -> TemplateError:
        line = (token or self._tokens[max(self._at - 1, 0)]).line
        return syntax_error(message, line)

    def _unexpected(self, token: Token, context: str) -> TemplateError:
        return self._error(f"unexpected {token} in {context}", token)

    def _expect(self, kind: str, context: str) -> Token:
        token = self._next_word()
        if token.kind != kind:
            raise self._unexpected(token, context)
        return token

    # Nodes

    def nodes(self, ends: tuple[str, ...]) -> tuple[list[Node], str]:
        """Parse up to {{end}}, {{else}} or the end of the text, whichever `ends` allows; return which it was."""
        found: list[Node] = []
        while True:
            token = self._next()
            if token.kind == "text":
                found.append(Text(token.position, token.text))
                continue
            if token.kind == "end":
                if "end of text" not in ends:
                    raise self._error("unexpected EOF", token)
                return found, ""
            word = self._next_word()
            if word.kind != "keyword":
                self._at -= 1
                found.append(Output(word.position, self._pipeline("command", "right")))
            elif word.text in ("end", "else"):
                if word.text not in ends:
                    problem = "expected end; found" if "end" in ends else "unexpected"
                    raise self._error(f"{problem} {{{{{word.text}}}}}", word)
                if word.text == "end":
                    self._expect("right", "end")
                return found, word.text
            else:
                found += self._control(word, top="end of text" in ends)

    def _control(self, word: Token, top: bool) -> list[Node]:
        if word.text in ("if", "range", "with"):
            return [self._branch(word)]
        if word.text in ("break", "continue"):
            if not self._ranges:
                raise self._error(f"{{{{{word.text}}}}} outside {{{{range}}}}", word)
            self._expect("right", word.text)
            return [Jump(word.position, word.text)]
        if word.text == "template":
            return [self._use()]
        if word.text == "block":
            return [self._block()]
        if not top:
            raise self._error(f"unexpected {{{{{word.text}}}}}", word)
        name = self._name("define clause")
        self._expect("right", "define clause")
        self._define(name)
        return []

    def _branch(self, word: Token) -> Branch:
        kind, known = word.text, len(self._variables)
        pipeline = self._pipeline(kind, "right")
        self._ranges += kind == "range"
        body, end = self.nodes(("end", "else"))
        self._ranges -= kind == "range"
        otherwise: list[Node] = []
        if end == "else":
            following = self._next_word()
            if following.kind == "keyword" and following.text == kind and kind in ("if", "with"):
                otherwise = [self._branch(following)]  # takes the {{end}} too
            elif following.kind != "right":
                raise self._unexpected(following, "else")
            else:
                otherwise, _ = self.nodes(("end",))
        del self._variables[known:]
        return Branch(pipeline.position, kind, pipeline, body, otherwise)

    def _use(self) -> Use:
        token = self._next_word()
        self._at -= 1
        name = self._name("template clause")
        self._skip_space()
        if self._peek().kind == "right":
            self._next()
            return Use(token.position, name, None)
        return Use(token.position, name, self._pipeline("template clause", "right"))

    def _block(self) -> Use:
        token = self._next_word()
        self._at -= 1
        name = self._name("block clause")
        pipeline = self._pipeline("block clause", "right")
        self._define(name)
        return Use(token.position, name, pipeline)

    def _name(self, context: str) -> str:
        token = self._next_word()
        if token.kind not in ("string", "raw"):
            raise self._unexpected(token, context)
        return self._string(token)

    def _define(self, name: str) -> None:
        known, self._variables = self._variables, ["$"]
        ranges, self._ranges = self._ranges, 0
        self.definitions[name], _ = self.nodes(("end",))
        self._variables, self._ranges = known, ranges

    # Pipelines

    def _pipeline(self, context: str, end: str) -> Pipeline:
        self._skip_space()
        position = self._peek().position
        variables, assigns = self._declarations(context)
        commands: list[Command] = []
        while True:
            token = self._next_word()
            if token.kind == end:
                break
            if token.kind not in _TERMS:
                raise self._unexpected(token, context)
            self._at -= 1
            commands.append(self._command())
        if not commands:
            raise self._error(f"missing value for {context}", token)
        for stage, command in enumerate(commands[1:], 2):
            first = command.operands[0]
            if isinstance(first, Literal) or (isinstance(first, Dot) and not first.fields and not first.variable):
                raise self._error(f"non executable command in pipeline stage {stage}", token)
        return Pipeline(position, variables, assigns, commands)

    def _declarations(self, context: str) -> tuple[list[str], bool]:
        """Parse "$i, $x :=" or "$x =", if that is what comes."""
        start, names = self._at, []
        while self._peek().kind == "variable":
            names.append(self._next().text)
            token = self._next_word()
            if token.kind in ("declare", "assign"):
                if token.kind == "declare":
                    self._variables += names
                return names, token.kind == "assign"
            if token.kind != "char" or token.text != ",":
                break
            if context != "range" or len(names) > 1:
                raise self._error(f"too many declarations in {context}", token)
            self._skip_space()
            if self._peek().kind not in ("variable", "right", ")"):
                raise self._error("range can only initialize variables", token)
        self._at = start
        return [], False

    def _command(self) -> Command:
        self._skip_space()
        position, operands = self._peek().position, []
        while True:
            self._skip_space()
            operand = self._operand()
            if operand:
                operands.append(operand)
            token = self._next()
            if token.kind == "space":
                continue
            if token.kind in ("right", ")"):
                self._at -= 1
            elif token.kind != "pipe":
                raise self._unexpected(token, "operand")
            break
        if not operands:
            raise self._error("empty command")
        return Command(position, operands)

    def _operand(self) -> Node | None:
        term = self._term()
        if term is None or self._peek().kind != "field":
            return term
        position, fields = self._peek().position, []
        while self._peek().kind == "field":
            fields.append(self._next().text[1:])
        if isinstance(term, Dot) and (term.fields or term.variable):
            return Dot(position, term.fields + fields, term.variable)
        if isinstance(term, (Literal, Dot)):
            raise self._error(f"unexpected . after term {quoted(operand_text(term))}")
        return Chain(position, term, fields)

    def _term(self) -> Node | None:
        token = self._next_word()
        kind, text, position = token.kind, token.text, token.position
        if kind == "identifier":
            if text not in FUNCTIONS:
                raise self._error(f"function {quoted(text)} not defined", token)
            return Call(position, text)
        if kind in ("dot", "field"):
            return Dot(position, [text[1:]] if kind == "field" else [])
        if kind == "variable":
            if text not in self._variables:
                raise self._error(f"undefined variable {quoted(text)}", token)
            return Dot(position, [], text)
        if kind == "(":
            return self._pipeline("parenthesized pipeline", ")")
        if kind in ("bool", "nil"):
            return Literal(position, kind, text, {"true": True, "false": False, "nil": None}[text])
        if kind in ("string", "raw"):
            return Literal(position, "string", text, self._string(token))
        if kind in ("number", "character"):
            try:
                return Literal(position, "number", text, (number if kind == "number" else character)(text))
            except ValueError as error:
                raise self._error(str(error), token) from None
        self._at -= 1
        return None

    def _string(self, token: Token) -> str:
        try:
            return string(token.text)
        except ValueError as error:
            raise self._error(str(error), token) from None
