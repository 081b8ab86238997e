"""Parsing of flags as pflag does it, by a command's table of flags.

A flag is a tuple: name, one-letter form, kind, help and optionally a check and a default. The kind is what
`--help` shows ("" for a boolean); `check` names a function in `proa.cli.options` ("sizes.memory") that validates
a value and returns what the command gets, imported when the flag is given.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Flag = tuple[Any, ...]

NAME, SHORT, KIND, HELP, CHECK, DEFAULT = range(6)
REPEATED = frozenset(("list", "map", "mount", "network", "ulimit", "filter", "stringToString", "strings"))
INTEGERS = frozenset(("int", "uint", "uint16"))
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


class FlagError(Exception):
    """What is wrong with the flags, without the usage."""


class HelpRequested(Exception):
    """`--help` was given."""


class Options:
    """The values of a command's flags: what was given, else the default of the flag or its kind."""

    def __init__(self, flags: Sequence[Flag]) -> None:
        self.flags = flags
        self.values: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        return default(next(flag for flag in self.flags if flag[NAME] == name))

    def given(self, name: str) -> bool:
        return name in self.values


def default(flag: Flag) -> Any:
    """Return the value of a flag that is not given."""
    if len(flag) > DEFAULT:
        return flag[DEFAULT]
    kind = flag[KIND]
    if kind in REPEATED:
        return []
    return {"": False, "string": "", "int": 0, "uint": 0, "uint16": 0}.get(kind)


def parse(flags: Sequence[Flag], words: Sequence[str], interspersed: bool) -> tuple[Options, list[str]]:
    """Return the options and the arguments among `words`.

    Unless `interspersed`, everything from the first argument on is left alone.
    Raises `FlagError`, `HelpRequested`.
    """
    return _Parser(flags, words).parse(interspersed)


class _Parser:
    def __init__(self, flags: Sequence[Flag], words: Sequence[str]) -> None:
        self._options = Options(flags)
        self._long = {flag[NAME]: flag for flag in flags}
        self._short = {flag[SHORT]: flag for flag in flags if flag[SHORT]}
        self._words = list(words)
        self._position = 0

    def parse(self, interspersed: bool) -> tuple[Options, list[str]]:
        arguments: list[str] = []
        while self._position < len(self._words):
            word = self._words[self._position]
            self._position += 1
            if word == "--":
                break
            if len(word) < 2 or word[0] != "-":
                arguments.append(word)
                if not interspersed:
                    break
            elif word[1] == "-":
                self._parse_long(word)
            else:
                self._parse_short(word)
        return self._options, arguments + self._words[self._position :]

    def _parse_long(self, word: str) -> None:
        name, separator, value = word[2:].partition("=")
        flag = self._long.get(name)
        if flag is None:
            if name == "help":
                self._help(value if separator else "true")
                return
            if not name or name[0] == "-":
                raise FlagError(f"bad flag syntax: {word}")
            raise FlagError(f"unknown flag: --{name}")
        if separator:
            self._set(flag, value)
        elif not flag[KIND]:
            self._set(flag, "true")
        else:
            self._set(flag, self._next(f"--{name}"))

    def _parse_short(self, word: str) -> None:
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            flag = self._short.get(letter)
            if flag is None:
                if letter == "h":
                    raise HelpRequested
                raise FlagError(f"unknown shorthand flag: {letter!r} in {word}")
            if letters[:1] == "=":
                self._set(flag, letters[1:])
                return
            if flag[KIND]:
                self._set(flag, letters or self._next(f"{letter!r} in {word}"))
                return
            self._set(flag, "true")

    def _help(self, text: str) -> None:
        """`--help` is a flag as others: what is wrong before it comes first, and it may be false."""
        if text not in _BOOLEANS:
            raise FlagError(
                f'invalid argument "{text}" for "--help" flag: strconv.ParseBool: parsing "{text}": invalid syntax'
            )
        if _BOOLEANS[text]:
            raise HelpRequested

    def _next(self, flag: str) -> str:
        if self._position == len(self._words):
            raise FlagError(f"flag needs an argument: {flag}")
        self._position += 1
        return self._words[self._position - 1]

    def _set(self, flag: Flag, text: str) -> None:
        try:
            value = convert(flag, text)
        except ValueError as error:
            name = f"-{flag[SHORT]}, --{flag[NAME]}" if flag[SHORT] else f"--{flag[NAME]}"
            quoted = text.replace("\\", "\\\\").replace('"', '\\"')
            raise FlagError(f'invalid argument "{quoted}" for "{name}" flag: {error}') from None
        values = self._options.values
        if flag[KIND] in REPEATED:
            values.setdefault(flag[NAME], []).extend(value.split(",") if flag[KIND] == "strings" else [value])
        else:
            values[flag[NAME]] = value


def convert(flag: Flag, text: str) -> Any:
    """Return what `text` means behind `flag`. Raises `ValueError` with Go's or docker's words."""
    kind = flag[KIND]
    if not kind:
        if text not in _BOOLEANS:
            raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
        return _BOOLEANS[text]
    if kind in INTEGERS:
        return _integer(text, kind)
    if len(flag) > CHECK and flag[CHECK]:
        return check(flag[CHECK])(text)
    return text


def check(name: str) -> Callable[..., Any]:
    """Return the function of `proa.cli.options` that "module.function" names."""
    module, _, function = name.partition(".")
    imported: Any = __import__("proa.cli.options." + module, fromlist=(function,))
    return getattr(imported, function)  # type: ignore[no-any-return]


def _integer(text: str, kind: str) -> int:
    function = "ParseInt" if kind == "int" else "ParseUint"
    try:
        value = int(text, 0 if text.lstrip("+-")[:2].lower() in ("0x", "0o", "0b") else 10)
    except ValueError:
        raise ValueError(f'strconv.{function}: parsing "{text}": invalid syntax') from None
    low, high = {"int": (-(1 << 63), (1 << 63) - 1), "uint": (0, (1 << 64) - 1), "uint16": (0, 65535)}[kind]
    if not low <= value <= high:
        problem = "invalid syntax" if low == 0 and value < 0 else "value out of range"
        raise ValueError(f'strconv.{function}: parsing "{text}": {problem}')
    return value
