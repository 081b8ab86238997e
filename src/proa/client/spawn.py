"""Starting the engine on demand: a command that finds no local socket starts `proad` and waits for it."""

from __future__ import annotations

import fcntl
import os
import sys
import time

from proa.client.errors import CannotConnect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.client.address import Address

DEADLINE = 10.0  # seconds
_IDLE = 600  # seconds without clients and containers after which an engine that was not asked for leaves
_PAUSE = 0.01
_LOG_TAIL = 400  # characters of the engine's log that an error quotes


def start(address: Address) -> None:
    """Start `proad` unless another command does so right now; return when its socket takes connections.

    Raises `CannotConnect` with what the engine said when it does not come up in `DEADLINE` seconds.
    """
    if os.geteuid():
        raise _failure(address, "only root can start it")
    directory = os.path.dirname(address.path)
    try:
        os.makedirs(directory, 0o711, exist_ok=True)
        lock = os.open(f"{directory}/start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _failure(address, f"{directory}: {os.strerror(error.errno or 0).lower()}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _answers(address):
            log = f"{directory}/proad.log"
            said_before = os.path.getsize(log) if os.path.exists(log) else 0
            _wait(address, _spawn(log), log, said_before)
    finally:
        os.close(lock)


def _spawn(log: str) -> int:
    """Start proad in a session of its own, writing to `log`; return its process id."""
    program = _program()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    nothing = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    child = os.fork()
    if not child:
        try:
            os.setsid()
            os.chdir("/")
            os.dup2(nothing, 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.execv(program[0], program)
        except OSError as error:
            os.write(output, f"{program[0]}: {error.strerror}\n".encode())
        finally:
            os._exit(127)
    os.close(output)
    os.close(nothing)
    return child


def _program() -> list[str]:
    """Return the command of the engine that was installed together with this command line."""
    options = ["--idle-exit", str(_IDLE)]
    beside = os.path.dirname(os.path.realpath(sys.argv[0]))
    for directory in [beside, *os.environ.get("PATH", os.defpath).split(":")]:
        path = f"{directory}/proad"
        if os.access(path, os.X_OK):
            return [path, *options]
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = f"import sys; sys.path.append({package!r}); from proa.engine_main import main; sys.exit(main())"
    return [sys.executable, "-c", code, *options]


def _wait(address: Address, child: int, log: str, said_before: int) -> None:
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if _answers(address):
            return
        if os.waitpid(child, os.WNOHANG)[0]:
            raise _failure(address, _tail(log, said_before))
        time.sleep(_PAUSE)
    raise _failure(address, f"it does not answer after {DEADLINE:.0f} seconds; see {log}")


def _answers(address: Address) -> bool:
    """Whether an engine serves: a socket takes connections before its engine has opened its data."""
    try:
        connection = address.connect()
    except CannotConnect:
        return False
    try:
        connection.settimeout(DEADLINE)
        connection.sendall(b"HEAD /_ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return bool(connection.recv(16))
    except OSError:
        return False
    finally:
        connection.close()


def _tail(path: str, start: int) -> str:
    """Return the last line or lines that the engine wrote since `start`."""
    with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 (pathlib costs 8 ms)
        file.seek(start)
        return file.read()[-_LOG_TAIL:].strip() or f"it ended without a word; see {path}"


def _failure(address: Address, reason: str) -> CannotConnect:
    return CannotConnect(f"cannot start the Proa engine for {address.url}: {reason}")
