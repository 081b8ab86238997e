"""`proa`: global flags, then the command that `catalogue.py` names.

Next on the way of `run`: `commands/run.py`.
"""

from __future__ import annotations

import os
import sys

from proa.cli.catalogue import GLOBAL_FLAGS, GROUPS, TOP
from proa.cli.errors import INTERRUPTED, Failure, UsageError
from proa.cli.flags import FlagError, HelpRequested, parse
from proa.client.signals import default_pipe
from proa.errors import ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from proa.cli.command import Command
    from proa.cli.flags import Options

_LOG_LEVELS = ("debug", "info", "warn", "warning", "error", "fatal", "panic", "trace", "")
USAGE = "Usage:  proa [OPTIONS] COMMAND [ARG...]"


def main() -> None:
    """Run the command line of this process and end it, without the time that tearing Python down takes."""
    _open_standard_streams()
    default_pipe()
    status = run(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError as error:
        status = status or _report(_unwritten(error), debug=False)
    os._exit(status)


def _open_standard_streams() -> None:
    """Have all three: else a socket would take the number of one that is closed, and be read as input."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            while os.open(os.devnull, os.O_RDWR) < number:
                pass
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


def run(words: Sequence[str]) -> int:
    """Run one command line; returns its exit code. Every error becomes one message on standard error."""
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
    sys.stderr.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
    debug = False
    try:
        try:
            options, rest = parse(GLOBAL_FLAGS, words, interspersed=False)
        except FlagError as error:
            raise UsageError(str(error), USAGE, "proa") from None
        debug = options["debug"]
        if options["log-level"].lower() not in _LOG_LEVELS:
            raise Failure(f"Unable to parse logging level: {options['log-level']}")
        return _dispatch(options, rest, words)
    except HelpRequested:
        from proa.cli.help import general

        sys.stdout.write(general())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except ProaError as error:
        return _report(error, debug)
    except OSError as error:
        if error.filename is not None:
            raise
        return _report(_unwritten(error), debug)


def _unwritten(error: OSError) -> ProaError:
    return Failure(f"write /dev/stdout: {(error.strerror or str(error)).lower()}")


def _report(error: ProaError, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exception(error)
    text = str(error)
    try:
        sys.stdout.flush()
    except OSError:
        pass  # which is what will be told, if nothing worse
    if text:
        try:
            sys.stderr.write(text + ("\n" + error.hint if error.hint else "") + "\n")
        except OSError:
            pass  # nobody listens; the exit code still tells
    return error.status if isinstance(error, Failure) else 1


def _dispatch(options: Options, words: list[str], line: Sequence[str]) -> int:
    """Run the command in `words`, what follows the global flags in `line`."""
    if options["version"]:
        from proa import __version__

        sys.stdout.write(f"Proa version {__version__}\n")
        return 0
    if not words:
        from proa.cli.help import general

        sys.stderr.write(general())
        return 0
    name, rest = words[0], words[1:]
    asked = name == "help"
    if asked:
        words = [*rest, "--help"]
        name, rest = words[0], words[1:]
        if name == "--help":
            raise HelpRequested
        if name not in GROUPS and name not in TOP:
            from proa.cli.elsewhere import refuse

            refuse(name)
            raise Failure(f"unknown help topic: {' '.join(rest[:-1]) or name}")
    if name in GROUPS:
        return _dispatch_group(name, rest, options, asked)
    if name not in TOP:
        from proa.cli.elsewhere import run_other

        return run_other(name, line, options)
    return _invoke(f"proa {name}", TOP[name], rest, options)


def _dispatch_group(group: str, words: list[str], options: Options, asked: bool) -> int:
    """Run the command of a group. `asked`: the line began with "help"."""
    commands = GROUPS[group][1]
    if not words or words[0] in ("--help", "-h"):
        from proa.cli.help import of_group

        (sys.stdout if words else sys.stderr).write(of_group(group))
        return 0
    name, rest = words[0], words[1:]
    whole = f"proa {group}"
    usage = f"{whole} COMMAND" if group == "volume" else whole  # as docker has it
    if name[:1] == "-":
        try:
            parse((), words, interspersed=False)
        except FlagError as error:
            raise UsageError(str(error), f"Usage:  {usage}", whole) from None
    if name not in commands:
        from proa.cli.elsewhere import refuse

        refuse(f"{group} {name}")
        if rest == ["--help"] and asked:
            raise Failure(f"unknown help topic: {name}")
        raise Failure(
            f"proa: unknown command: {whole} {name}\n\nUsage:  {usage}\n\n"
            f"Run '{whole} --help' for more information"
        )
    module = commands[name]
    canonical = next(word for word, target in commands.items() if target == module)
    return _invoke(f"{whole} {canonical}", module, rest, options)


def _invoke(name: str, module: str, words: list[str], options: Options) -> int:
    command: Command = __import__(f"proa.cli.commands.{module}", fromlist=("COMMAND",)).COMMAND
    try:
        return command.invoke(name, words, options)
    except HelpRequested:
        from proa.cli.help import of_command

        sys.stdout.write(of_command(name, module, command))
        return 0
