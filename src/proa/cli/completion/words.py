"""`proa __complete WORDS… LAST`: the candidates for the last word, which may be empty.

Cobra's protocol: a candidate and its description on each line, then ":" and a number that says what the shell is
to do with them. Nothing here fails: who presses a key wants no message.
"""

from __future__ import annotations

import sys

from proa.cli.catalogue import GLOBAL_FLAGS, GROUPS, HIDDEN, SUMMARIES, TOP
from proa.cli.command import ANY, Invocation
from proa.cli.completion.sources import FILES, Candidates, Source
from proa.cli.completion.tables import ARGUMENTS, FLAG_VALUES, GLOBAL_VALUES, filter_values
from proa.cli.flags import HELP, KIND, NAME, SHORT, Options
from proa.errors import ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proa.cli.command import Command
    from proa.cli.flags import Flag

_NO_SPACE, _NO_FILES = 2, 4  # bits of the number in the last line


def complete(words: Sequence[str], described: bool) -> int:
    """Print the candidates for the last of `words`; returns the exit code."""
    try:
        found = _candidates(list(words[:-1]), words[-1] if words else "")
    except ProaError:  # no engine, no such context: there is nothing to offer
        found = Candidates()
    for text, description in found.items:
        sys.stdout.write(f"{text}\t{description}\n" if described and description else f"{text}\n")
    number = (_NO_SPACE if found.no_space else 0) | (0 if found.files else _NO_FILES)
    sys.stdout.write(f":{number}\n")
    return 0


def _candidates(before: list[str], last: str) -> Candidates:
    scan = _Scan(GLOBAL_FLAGS, before, last, interspersed=False)
    globals_ = scan.options()
    if scan.pending:
        return _values(GLOBAL_VALUES.get(scan.pending[NAME]), scan, globals_)
    if not scan.arguments:
        return _flags(GLOBAL_FLAGS, last) if last.startswith("-") else _commands(last)
    name, *rest = scan.arguments
    if name in GROUPS:
        commands = GROUPS[name][1]
        if not rest:
            return _named(last, ((word, module) for word, module in commands.items() if module not in HIDDEN))
        name, *rest = rest
    else:
        commands = TOP
    if name not in commands:
        return FILES
    module = commands[name]
    command: Command = __import__(f"proa.cli.commands.{module}", fromlist=("COMMAND",)).COMMAND
    return _of_command(module, command, rest, last, globals_)


def _of_command(module: str, command: Command, before: list[str], last: str, globals_: Options) -> Candidates:
    scan = _Scan(command.flags, before, last, command.interspersed)
    if scan.pending:
        flag = scan.pending
        if flag[KIND] == "filter":
            return _values(lambda invocation, text: filter_values(module, text, invocation), scan, globals_)
        return _values(FLAG_VALUES.get(flag[NAME]), scan, globals_)
    if last.startswith("-") and not scan.only_arguments:
        return _flags(command.flags, last)
    if command.most != ANY and len(scan.arguments) >= command.most:
        return Candidates()
    kinds = ARGUMENTS.get(module, (FILES,))
    source = kinds[min(len(scan.arguments), len(kinds) - 1)]
    return _values(source, scan, globals_)


def _values(source: Source | None, scan: _Scan, globals_: Options) -> Candidates:
    """Ask a source for what it has; a flag that is in no table takes anything, files too."""
    if source is None:
        return FILES
    if not callable(source):
        return _begun(source, scan.last, given=scan.arguments)
    invocation = Invocation("proa", scan.options(), scan.arguments, globals_)
    try:
        return _begun(source(invocation, scan.last), scan.last, given=scan.arguments)
    finally:
        invocation.close()


def _begun(found: Candidates, last: str, given: Iterable[str] = ()) -> Candidates:
    """Return those that begin as the user did, without those that he has named before."""
    skipped = set(given)
    items = [item for item in found.items if item[0].startswith(last) and item[0] not in skipped]
    return Candidates(items, files=found.files, no_space=found.no_space)


def _commands(last: str) -> Candidates:
    groups = [(name, GROUPS[name][0]) for name in GROUPS]
    commands = [(name, SUMMARIES[module]) for name, module in TOP.items()]
    return _begun(Candidates(sorted([*groups, *commands])), last)


def _named(last: str, commands: Iterable[tuple[str, str]]) -> Candidates:
    """Return the first name of each command; the others only say the same."""
    first: dict[str, str] = {}
    for word, module in commands:
        first.setdefault(module, word)
    return _begun(Candidates(sorted((word, SUMMARIES[module]) for module, word in first.items())), last)


def _flags(flags: Sequence[Flag], last: str) -> Candidates:
    items = []
    for flag in flags:
        items.append((f"--{flag[NAME]}", flag[HELP]))
        if flag[SHORT]:
            items.append((f"-{flag[SHORT]}", flag[HELP]))
    return _begun(Candidates([*items, ("--help", "Show what the command does")]), last)


class _Scan:
    """The words before the last one, read as far as they go: flags given, arguments, a flag without its value."""

    def __init__(self, flags: Sequence[Flag], words: list[str], last: str, interspersed: bool) -> None:
        self.arguments: list[str] = []
        self.pending: Flag | None = None  # the flag whose value `last` is
        self.last = last  # as far as it is a value: without "--flag="
        self.only_arguments = False
        self._flags = flags
        self._long = {flag[NAME]: flag for flag in flags}
        self._short = {flag[SHORT]: flag for flag in flags if flag[SHORT]}
        self._given: dict[str, list[str]] = {}
        self._read(words, interspersed)
        if not self.pending and not self.only_arguments and last.startswith("--") and "=" in last:
            name, _, value = last[2:].partition("=")
            if name in self._long and self._long[name][KIND]:
                self.pending, self.last = self._long[name], value

    def _read(self, words: list[str], interspersed: bool) -> None:
        for position, word in enumerate(words):
            if self.pending:
                self._give(self.pending, word)
                self.pending = None
            elif word == "--":
                self.arguments += words[position + 1 :]
                self.only_arguments = True
                return
            elif len(word) < 2 or word[0] != "-":
                self.arguments.append(word)
                if not interspersed:
                    self.arguments += words[position + 1 :]
                    self.only_arguments = True
                    return
            else:
                self._flag(word)

    def _flag(self, word: str) -> None:
        if word[1] == "-":
            name, separator, value = word[2:].partition("=")
            flag = self._long.get(name)
            if flag and separator:
                self._give(flag, value)
            elif flag and flag[KIND]:
                self.pending = flag
            elif flag:
                self._give(flag, "true")
            return
        letters = word[1:]
        while letters:
            flag, letters = self._short.get(letters[0]), letters[1:]
            if flag is None:
                return
            if flag[KIND]:
                if letters:
                    self._give(flag, letters.removeprefix("="))
                else:
                    self.pending = flag
                return
            self._give(flag, "true")

    def _give(self, flag: Flag, text: str) -> None:
        self._given.setdefault(flag[NAME], []).append(text)

    def options(self) -> Options:
        """Return what was given, values that make no sense left out."""
        from proa.cli.flags import REPEATED, convert

        options = Options(self._flags)
        for name, texts in self._given.items():
            flag = self._long[name]
            try:
                values = [convert(flag, text) for text in texts]
            except ValueError:
                continue
            options.values[name] = values if flag[KIND] in REPEATED else values[-1]
        return options
