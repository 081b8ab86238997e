"""The command lines that drive an engine, as callables."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rig import cache
from rig.needs import PATIENCE, need

TIMEOUT = 60.0 * PATIENCE  # seconds for one command


@dataclass(frozen=True)
class Result:
    """What a command printed and how it ended."""

    command: str
    code: int
    out: str
    err: str
    raw: bytes = field(repr=False)  # standard output as it came

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def __str__(self) -> str:
        return f"$ {self.command}\nexit {self.code}\nstdout: {self.out}\nstderr: {self.err}"


class Running(subprocess.Popen[bytes]):
    """A command beside the test. At the end of `with` it is killed if it still runs."""

    def __exit__(self, *exception: Any) -> None:
        if self.poll() is None:
            self.kill()
        super().__exit__(*exception)


class Client:
    """One command line (the docker CLI or proa) speaking to one engine.

    `client(...)` runs and returns a Result; `client.ok(...)` wants success and returns standard output;
    `client.fails(...)` wants failure, and returns standard error; `client.start(...)` leaves it running.
    """

    def __init__(self, name: str, host: str, home: Path) -> None:
        self.name = name
        self.program = find(name)
        self.host = host
        self.home = home
        (home / "docker").mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        others = ("DOCKER_", "COMPOSE_", "PROA_")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(others)}
        marked = {key: value for key, value in os.environ.items() if key == "PROA_TEST_RUN"}
        return kept | marked | {
            "DOCKER_HOST": self.host,
            "DOCKER_CONFIG": str(self.home / "docker"),
            "DOCKER_CLI_HINTS": "false",
            "HOME": str(self.home),
        }  # fmt: skip

    def command(self, *arguments: str) -> list[str]:
        return [*self.program, *arguments]

    def __call__(
        self,
        *arguments: str,
        stdin: bytes | str = b"",
        timeout: float = TIMEOUT,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Result:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            self.command(*arguments),
            input=data,
            capture_output=True,
            timeout=timeout,
            env=self.environment | (env or {}),
            cwd=cwd,
            check=False,
        )
        out, err = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
        return Result(f"{self.name} {shlex.join(arguments)}", done.returncode, out, err, done.stdout)

    def ok(self, *arguments: str, **options: Any) -> str:
        result = self(*arguments, **options)
        assert result.code == 0, str(result)
        return result.out

    def fails(self, *arguments: str, code: int | None = None, match: str = "", **options: Any) -> str:
        """Standard error of a command that has to fail, with status `code` and text that `match`es."""
        result = self(*arguments, **options)
        assert result.code != 0 if code is None else result.code == code, str(result)
        assert re.search(match, result.err), f"no match for {match!r}\n{result}"
        return result.err

    def start(self, *arguments: str, **options: Any) -> Running:
        """The command running beside the test, with pipes: `with client.start(…) as it:`."""
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return Running(self.command(*arguments), env=self.environment, **(pipes | options))

    # What nearly every test does.

    def inspect(self, name: str, template: str = "{{json .}}") -> str:
        return self.ok("inspect", "--format", template, name).strip()

    def detached(self, *arguments: str) -> str:
        """`run -d …`; returns the container's identifier."""
        return self.ok("run", "-d", *arguments).strip()


def find(name: str) -> list[str]:
    """The command of a client: proa of this environment, the docker CLI on PATH or where setup put it."""
    if name == "proa":
        found = shutil.which("proa", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    else:
        fetched = cache.directory() / "docker-cli" / "usr" / "bin"  # scripts/get-docker-cli puts it there
        found = shutil.which("docker", path=f"{os.environ['PATH']}:{fetched}")
    need(found, f"the command {name}")
    assert found
    return [found]


def docker_version(program: Sequence[str]) -> tuple[int, ...]:
    """(28, 2, 2) of the docker CLI."""
    said = subprocess.run([*program, "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"version (\d+)\.(\d+)\.(\d+)", said)
    assert match, said
    return tuple(map(int, match.groups()))
