"""`--help` in docker's layout, from the tables of commands and flags."""

from __future__ import annotations

from proa.cli.catalogue import COMMON, GLOBAL_FLAGS, GROUPS, HIDDEN, SUMMARIES, TOP
from proa.cli.flags import DEFAULT, HELP, KIND, NAME, REPEATED, SHORT
from proa.client.terminal import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proa.cli.command import Command
    from proa.cli.flags import Flag

_DEFAULT_COLUMNS = 80
_NARROWEST = 24  # columns of text beside the flags


def general() -> str:
    """Return the help of `proa` itself."""
    others = [name for name in TOP if name not in COMMON]
    sections = [
        "Usage:  proa [OPTIONS] COMMAND",
        "A container engine for Linux",
        _section("Common Commands", ((name, SUMMARIES[TOP[name]]) for name in COMMON)),
        _section("Management Commands", ((name, GROUPS[name][0]) for name in GROUPS)),
        _section("Commands", ((name, SUMMARIES[TOP[name]]) for name in others)),
        _flags("Global Options", GLOBAL_FLAGS),
        "Run 'proa COMMAND --help' for more information on a command.",
    ]
    return "\n\n".join(sections) + "\n"


def of_group(group: str) -> str:
    """Return the help of `proa GROUP`."""
    summary, commands = GROUPS[group]
    shown: dict[str, str] = {}
    for name, module in commands.items():
        if module not in shown and module not in HIDDEN:
            shown[module] = name
    sections = [
        f"Usage:  proa {group} COMMAND",
        summary,
        _section("Commands", sorted((name, SUMMARIES[module]) for module, name in shown.items())),
        f"Run 'proa {group} COMMAND --help' for more information on a command.",
    ]
    return "\n\n".join(sections) + "\n"


def of_command(name: str, module: str, command: Command) -> str:
    """Return the help of one command called `name`."""
    sections = [f"Usage:  {name} {command.usage}".rstrip(), SUMMARIES[module]]
    names = _names(module)
    if len(names) > 1:
        sections.append(f"Aliases:\n  {', '.join(names)}")
    if command.flags:
        sections.append(_flags("Options", command.flags))
    return "\n\n".join(sections) + "\n"


def _names(module: str) -> list[str]:
    """Return all names that call a command."""
    inner = [
        f"proa {group} {name}"
        for group, (_, commands) in GROUPS.items()
        for name, target in commands.items()
        if target == module
    ]
    return [*inner, *(f"proa {name}" for name, target in TOP.items() if target == module)]


def _section(title: str, rows: Iterable[tuple[str, str]]) -> str:
    found = list(rows)
    width = max(11, *(len(name) for name, _ in found))
    return "\n".join([f"{title}:", *(f"  {name:<{width}} {text}" for name, text in found)])


def _flags(title: str, flags: Sequence[Flag]) -> str:
    rows = [(_form(flag), flag[HELP] + _default(flag)) for flag in flags]
    column = max(len(form) for form, _ in rows) + 3
    width = max((size(1) or (0, _DEFAULT_COLUMNS))[1] - column, _NARROWEST)
    lines = [f"{title}:"]
    for form, text in rows:
        first, *rest = _wrapped(text, width)
        lines += [form.ljust(column) + first, *(" " * column + line for line in rest)]
    return "\n".join(lines)


def _wrapped(text: str, width: int) -> list[str]:
    """Break a text at spaces. (`textwrap` costs more than the rest of a help.)"""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


def _form(flag: Flag) -> str:
    short = f"-{flag[SHORT]}, " if flag[SHORT] else "    "
    return f"  {short}--{flag[NAME]} {flag[KIND]}".rstrip()


def _default(flag: Flag) -> str:
    """Return " (default …)" unless the default is what the kind begins with anyway."""
    if len(flag) <= DEFAULT or flag[KIND] in REPEATED or flag[DEFAULT] in ("", None, False, 0):
        return ""
    value = flag[DEFAULT]
    text = (
        str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)
    )
    return f" (default {text})"
