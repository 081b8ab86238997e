"""`proa login`: check credentials at a registry, by the engine, and keep them."""

from __future__ import annotations

import sys

from proa.cli.command import Command
from proa.cli.errors import Failure
from proa.client.errors import DaemonError
from proa.errors import InvalidArgument, ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from proa.cli.command import Invocation

_FLAGS = (
    ("password", "p", "string", "Password or access token; others can see it in the list of processes"),
    ("password-stdin", "", "", "Read the password or access token from standard input"),
    ("username", "u", "string", "User name"),
)
_UNAUTHORIZED = 401


def _run(invocation: Invocation) -> None:
    from proa.client.credentials import hostname, key_of, lookup

    username, password = invocation["username"], _password(invocation)
    server = key_of(invocation.arguments[0] if invocation.arguments else "")
    stored: dict[str, str] = {}
    if not username and not password:
        try:
            stored = lookup(server)
        except InvalidArgument as error:
            invocation.warn(f"WARNING: {error.message}")
        if stored.get("username") and stored.get("password") and _again(invocation, stored):
            return
    if (not username or not password) and not sys.stdin.isatty():
        raise Failure("Error: Cannot perform an interactive login from a non TTY device")
    if not username or not password:
        from proa.cli.prompts import credentials

        default = stored.get("username", "")
        try:
            username, password = credentials(username, password, default, hub=server != hostname(server))
        except KeyboardInterrupt:
            return  # nothing was asked for in the end: no failure to docker either
    _login(invocation, {"username": username, "password": password, "serveraddress": server})


def _password(invocation: Invocation) -> str:
    password = str(invocation["password"])
    if not invocation["password-stdin"]:
        if password:
            invocation.warn("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
        return password
    if password:
        raise Failure("conflicting options: cannot specify both --password and --password-stdin")
    if not invocation["username"]:
        raise Failure("the --password-stdin option requires --username to be set")
    given = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    return given.removesuffix("\n").removesuffix("\r")


def _again(invocation: Invocation, stored: dict[str, str]) -> bool:
    """Try what is kept; returns whether it is (still) good."""
    invocation.warn(
        f"Authenticating with existing credentials... [Username: {stored['username']}]\n\n"
        " Info -> To login with a different account, run 'proa logout' followed by 'proa login'\n\n"
    )
    try:
        _login(invocation, stored, new=False)
    except ProaError as error:
        expired = isinstance(error, DaemonError) and error.status == _UNAUTHORIZED
        text = "Stored credentials invalid or expired" if expired else f"Login did not succeed, error: {error}"
        invocation.warn(text)
        return False
    return True


def _login(invocation: Invocation, auth: dict[str, str], *, new: bool = True) -> None:
    """Ask the engine, and keep what it says is good: the registry's own token rather than a password."""
    from proa.client.credential_store import store

    answer = invocation.client.post("/auth", auth)
    if answer.get("IdentityToken"):
        auth = {**auth, "password": "", "identitytoken": answer["IdentityToken"]}
    try:
        path = store(auth)
    except InvalidArgument as error:
        raise Failure(f"Error saving credentials: {error.message}") from None
    if path and new:
        invocation.warn(
            f"\nWARNING! Your credentials are stored unencrypted in '{path}'.\n"
            "Configure a credential helper to remove this warning. See\n"
            "https://docs.docker.com/go/credential-store/\n"
        )
    invocation.print(answer["Status"])


COMMAND = Command(_run, "[OPTIONS] [SERVER]", flags=_FLAGS, most=1)
