"""From a Go template's text to tokens, as text/template's lexer makes them; its messages too.

Regular expressions would take longer to import than a listing takes to make.
"""

from __future__ import annotations

from proa.errors import InvalidArgument

KEYWORDS = frozenset((
    "block", "break", "continue", "define", "else", "end", "if", "range", "template", "with",
))  # fmt: skip
_SPACES = " \t\r\n"
_DIGITS = {"x": "0123456789abcdefABCDEF_", "o": "01234567_", "b": "01_"}


class TemplateError(InvalidArgument):
    """A template that cannot be parsed, or fails on its data."""


class Token:
    """`kind`: text, left, right, space, pipe, assign, declare, paren, string, number, … or "keyword", "char"."""

    __slots__ = ("kind", "line", "position", "text")

    def __init__(self, kind: str, text: str, position: int, line: int) -> None:
        self.kind = kind
        self.text = text
        self.position = position  # in bytes, as Go counts
        self.line = line

    def __str__(self) -> str:
        """As Go's messages show a token."""
        if self.kind == "end":
            return "EOF"
        if self.kind in ("keyword", "dot", "nil"):
            return f"<{self.text}>"
        return quoted(self.text[:10]) + "..." if len(self.text) > 10 else quoted(self.text)


def quoted(text: str) -> str:
    """Return Go's %q."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


def syntax_error(message: str, line: int) -> TemplateError:
    return TemplateError(f"template: :{line}: {message}")


def tokens(text: str) -> list[Token]:
    """Return all tokens, the last one of kind "end". Raises `TemplateError`."""
    return _Lexer(text).run()


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._depth = 0  # of parentheses
        self._counted = (0, 0)  # characters, and how many bytes they are
        self._found: list[Token] = []

    def run(self) -> list[Token]:
        trim = False
        while True:
            start = self._text.find("{{", self._at)
            literal = self._text[self._at : start if start >= 0 else None]
            trims = start >= 0 and self._text[start + 2 : start + 3] == "-" and self._space(start + 3)
            shown = literal.lstrip(_SPACES) if trim else literal
            shown = shown.rstrip(_SPACES) if trims else shown
            if shown:
                self._found.append(Token("text", shown, self._at, self._line))
            self._line += literal.count("\n")
            if start < 0:
                self._at = len(self._text)
                self._add("end", 0)
                return self._found
            self._at = start
            self._add("left", 2)
            self._at += 1 if trims else 0
            trim = self._comment() if self._text.startswith("/*", self._past_space()) else self._action()

    def _space(self, position: int) -> bool:
        return self._text[position : position + 1] in (" ", "\t", "\r", "\n")

    def _past_space(self) -> int:
        position = self._at
        while self._space(position) and self._text[self._at - 1 : self._at] == "-":
            position += 1
        return position

    def _comment(self) -> bool:
        """Skip a comment and its action; returns whether it trims what follows."""
        self._found.pop()
        end = self._text.find("*/", self._at)
        if end < 0:
            raise syntax_error("unclosed comment", self._line)
        self._line += self._text.count("\n", self._at, end)
        self._at = end + 2
        trim, size = self._right()
        if not size:
            raise syntax_error("comment ends before closing delimiter", self._line)
        self._at += size
        return trim

    def _right(self) -> tuple[bool, int]:
        """Return whether the end of an action here trims, and its length, 0 for none."""
        if self._text.startswith("}}", self._at):
            return False, 2
        space = self._at
        while self._space(space):
            space += 1
        if space > self._at and self._text.startswith("-}}", space):
            return True, space - self._at + 3
        return False, 0

    def _action(self) -> bool:
        while True:
            trim, size = self._right()
            if size:
                if self._depth:
                    raise syntax_error("unclosed left paren", self._line)
                self._add("right", size)
                return trim
            if self._at >= len(self._text):
                raise syntax_error("unclosed action", self._line)
            self._token()

    def _token(self) -> None:
        character = self._text[self._at]
        following = self._text[self._at + 1 : self._at + 2]
        if character in _SPACES:
            self._add("space", self._span(_SPACES))
        elif character in "\"`'":
            self._quote(character)
        elif character == ":":
            if following != "=":
                raise syntax_error("expected :=", self._line)
            self._add("declare", 2)
        elif character in "=|":
            self._add("assign" if character == "=" else "pipe", 1)
        elif character in "()":
            self._depth += 1 if character == "(" else -1
            if self._depth < 0:
                raise syntax_error("unexpected right paren", self._line)
            self._add(character, 1)
        elif character in "+-" or character.isdecimal() or (character == "." and following.isdecimal()):
            self._number()
        elif character in ".$" or character == "_" or character.isalnum():
            self._word(character)
        elif character.isascii() and character.isprintable():
            self._add("char", 1)
        else:
            raise syntax_error(f"unrecognized character in action: {_named(character)}", self._line)

    def _quote(self, mark: str) -> None:
        names = {'"': "quoted string", "`": "raw quoted string", "'": "character constant"}
        position = self._at + 1
        while True:
            character = self._text[position : position + 1]
            if not character or (character == "\n" and mark != "`"):
                raise syntax_error(f"unterminated {names[mark]}", self._line)
            if character == mark:
                break
            position += 2 if character == "\\" and mark != "`" else 1
        self._add({'"': "string", "`": "raw", "'": "character"}[mark], position + 1 - self._at)

    def _number(self) -> None:
        start = position = self._at + (self._text[self._at] in "+-")
        digits = "0123456789_"
        if self._text[position : position + 1] == "0":
            letter = self._text[position + 1 : position + 2].lower()
            if letter in _DIGITS and letter:
                digits, position = _DIGITS[letter], position + 2
        position = self._digits(position, digits)
        if digits == "0123456789_":
            if self._text[position : position + 1] == ".":
                position = self._digits(position + 1, digits)
            if self._text[position : position + 1].lower() == "e" and position > start:
                position += 1 + (self._text[position + 1 : position + 2] in ("+", "-"))
                position = self._digits(position, digits)
        wrong = self._text[position : position + 1]
        if wrong == "_" or wrong.isalnum() or position == start:
            raise syntax_error(f"bad number syntax: {quoted(self._text[self._at : position + 1])}", self._line)
        self._add("number", position - self._at)

    def _digits(self, position: int, digits: str) -> int:
        while self._text[position : position + 1] and self._text[position] in digits:
            position += 1
        return position

    def _word(self, first: str) -> None:
        position = self._at + (first in ".$")
        while (character := self._text[position : position + 1]) == "_" or character.isalnum():
            position += 1
        size = position - self._at
        if first == "." and size == 1:
            self._add("dot", 1)
            return
        following = self._text[position : position + 1]
        if following and following not in " \t\r\n.,|:)(" and not self._text.startswith("}}", position):
            raise syntax_error(f"bad character {_named(following)}", self._line)
        word = self._text[self._at : position]
        kind = "field" if first == "." else "variable" if first == "$" else "identifier"
        if word in KEYWORDS:
            kind = "keyword"
        elif word in ("true", "false"):
            kind = "bool"
        elif word == "nil":
            kind = "nil"
        self._add(kind, size)

    def _span(self, characters: str) -> int:
        """Return how many of the characters stand here, up to an end of the action that they begin."""
        position = self._at
        while position < len(self._text) and self._text[position] in characters:
            position += 1
        return position - self._at

    def _bytes_before(self) -> int:
        """Return where this is in bytes; counted on from where it was asked last."""
        characters, size = self._counted
        size += len(self._text[characters : self._at].encode("utf-8", "surrogatepass"))
        self._counted = (self._at, size)
        return size

    def _add(self, kind: str, size: int) -> None:
        text = self._text[self._at : self._at + size]
        self._found.append(Token(kind, text, self._bytes_before(), self._line))
        self._line += text.count("\n")
        self._at += size


def _named(character: str) -> str:
    """Return Go's %#U: "U+007D '}'"."""
    return f"U+{ord(character):04X} '{character}'"
