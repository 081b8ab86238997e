"""What a command is, and one call of it."""

from __future__ import annotations

import os
import sys

from proa.cli.errors import ArgumentError, Failure, UsageError
from proa.cli.flags import HELP, NAME, FlagError, parse
from proa.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from proa.cli.flags import Flag, Options
    from proa.client.address import Address
    from proa.client.client import Client
    from proa.client.tls import Tls
    from proa.errors import ProaError

ANY = -1  # as `most`: no limit


class Command:
    """One command: how it is called, its flags, how many arguments it takes, and the function that does it."""

    def __init__(
        self,
        run: Callable[[Invocation], int | None],
        usage: str = "",
        flags: Sequence[Flag] = (),
        least: int = 0,
        most: int = 0,
        interspersed: bool = True,
        refused: Sequence[Flag] = (),
    ) -> None:
        """`usage` is what stands behind the command's name. Unless `interspersed`, flags end at an argument.

        `refused` are flags of docker's that Proa knows and does not have, with the reason in place of a help.
        """
        self.run = run
        self.usage = usage
        self.flags = flags
        self.least = least
        self.most = most
        self.interspersed = interspersed
        self.refused = refused

    def invoke(self, name: str, words: Sequence[str], globals_: Options) -> int:
        """Parse `words` and run. `name` is the whole name, "proa container ls"; returns the exit code."""
        usage = f"Usage:  {name} {self.usage}".rstrip()
        try:
            options, arguments = parse((*self.flags, *self.refused), words, self.interspersed)
        except FlagError as error:
            raise UsageError(str(error), usage, name) from None
        for flag in self.refused:
            if options.given(flag[NAME]):
                raise Failure(f'proa: "--{flag[NAME]}" is not supported: {flag[HELP]}')
        problem = self._count(len(arguments))
        if problem:
            raise ArgumentError(problem, usage, name)
        if globals_["config"]:
            os.environ["DOCKER_CONFIG"] = globals_["config"]
        invocation = Invocation(name, options, arguments, globals_)
        try:
            return self.run(invocation) or 0
        finally:
            invocation.close()

    def _count(self, number: int) -> str:
        """Return what is wrong with the number of arguments, "" for nothing."""
        least, most = self.least, self.most
        if number >= least and (most == ANY or number <= most):
            return ""
        if most == 0:
            return "accepts no arguments"
        if most == ANY:
            return f"requires at least {least} {_arguments(least)}"
        if least == most:
            return f"requires {least} {_arguments(least)}"
        if least == 0:
            return f"requires at most {most} {_arguments(most)}"
        return f"requires at least {least} and at most {most} {_arguments(most)}"


def _arguments(number: int) -> str:
    return "argument" if number == 1 else "arguments"


class Invocation:
    """One call of a command. `client` is made when it is first asked for."""

    def __init__(self, name: str, options: Options, arguments: list[str], globals_: Options) -> None:
        self.name = name
        self.options = options
        self.arguments = arguments
        self.globals = globals_
        self._client: Client | None = None
        self._config: dict[str, Any] | None = None

    def __getitem__(self, flag: str) -> Any:
        return self.options[flag]

    @property
    def client(self) -> Client:
        if self._client is None:
            from proa.client.client import Client

            self._client = Client(self.address(), os.environ.get("DOCKER_API_VERSION", ""))
        return self._client

    @property
    def config(self) -> dict[str, Any]:
        """Docker's configuration, read when it is first asked for."""
        if self._config is None:
            from proa.client.configuration import load

            self._config = load(os.environ)
        return self._config

    def close(self) -> None:
        """Hang up on the engine, if it was talked to."""
        if self._client is not None:
            self._client.close()

    def address(self) -> Address:
        """Return the engine to talk to: global flags, environment, the context in use, default."""
        from proa.client.address import choose

        return choose(self._host(), self.globals["context"], self._tls(), os.environ, self._current)

    def default_address(self) -> Address:
        """Return the engine of the default context."""
        from proa.client.address import of_default

        return of_default(self._host(), self._tls(), os.environ)

    @property
    def context(self) -> str:
        """The name of the context in use, which need not exist."""
        from proa.client.address import choose_context

        return choose_context(self._host(), self.globals["context"], os.environ, self._current)

    def _host(self) -> str:
        hosts = self.globals["host"]
        if len(hosts) > 1:
            raise InvalidArgument("Failed to initialize: unable to resolve docker endpoint: Specify only one -H")
        return hosts[0] if hosts else ""

    def _current(self) -> str:
        return str(self.config.get("currentContext", ""))

    def _tls(self) -> Tls | None:
        verify = self.globals["tlsverify"] or bool(os.environ.get("DOCKER_TLS_VERIFY"))
        if not verify and not self.globals["tls"] and not os.environ.get("DOCKER_TLS"):
            return None
        from proa.client.configuration import directory
        from proa.client.tls import Tls

        place = os.environ.get("DOCKER_CERT_PATH") or directory(os.environ)
        files = []
        for flag, name in (("tlscacert", "ca.pem"), ("tlscert", "cert.pem"), ("tlskey", "key.pem")):
            path = self.globals[flag] or f"{place}/{name}"
            if os.path.exists(path):
                files.append(path)
            elif self.globals[flag] or name == "ca.pem":
                raise InvalidArgument(
                    "Failed to initialize: unable to resolve docker endpoint: "
                    f"open {path}: no such file or directory"
                )
            else:
                files.append("")
        return Tls(files[0], files[1], files[2], verify)

    def print(self, *lines: str) -> None:
        """Write lines to standard output."""
        sys.stdout.write("".join(f"{line}\n" for line in lines))

    def flush(self) -> None:
        """Let what was printed be seen."""
        sys.stdout.flush()

    def warn(self, line: str) -> None:
        """Write a line to standard error, after what was printed so far."""
        sys.stdout.flush()
        sys.stderr.write(line + "\n")


def each(
    invocation: Invocation, act: Callable[[str], object], tolerate: Callable[[ProaError], bool] | None = None
) -> int:
    """Do `act` with each argument and print those done; a failure does not keep the others from being done.

    Returns the exit code: 1 when one failed with an error that `tolerate` does not forgive. Errors are printed
    at the end, as docker does.
    """
    from proa.errors import ProaError

    errors: list[ProaError] = []
    for argument in invocation.arguments:
        try:
            act(argument)
        except ProaError as error:
            errors.append(error)
        else:
            invocation.print(argument)
    for failure in errors:
        invocation.warn(str(failure))
    return int(any(tolerate is None or not tolerate(failure) for failure in errors))
