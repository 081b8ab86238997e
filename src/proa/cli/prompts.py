"""Asking a person at a terminal for a name and a password."""

from __future__ import annotations

import os
import sys
import termios

from proa.cli.errors import Failure

_HUB = (
    "Log in with your Docker ID or email address to push and pull images from Docker Hub. If you don't have a "
    "Docker ID, head over to https://hub.docker.com/ to create one.\n"
    "You can log in with your password or a Personal Access Token (PAT). Using a limited-scope PAT grants better "
    "security and is required for organizations using SSO. Learn more at "
    "https://docs.docker.com/go/access-tokens/\n\n"
)


def credentials(username: str, password: str, default: str, *, hub: bool) -> tuple[str, str]:
    """Ask for what is missing; `default` is the name that an empty answer means. Raises `Failure`.

    Ctrl-C raises `KeyboardInterrupt`, on a line of its own.
    """
    if not username:
        if hub:
            sys.stdout.write(_HUB)
        _say(f"Username ({default}): " if default else "Username: ")
        try:
            username = _line().strip() or default
        except KeyboardInterrupt:
            _say("\n")
            raise
    if not username:
        raise Failure("Error: Non-null Username Required")
    if not password:
        password = _unseen("Password: ")
    if not password:
        raise Failure("Error: Password Required")
    return username, password


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _unseen(prompt: str) -> str:
    """Ask, and read a line without showing it, however soon it is typed."""
    before = termios.tcgetattr(0)
    quiet = list(before)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(0, termios.TCSADRAIN, quiet)
    try:
        _say(prompt)
        return _line()
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        _say("\n")


def _line() -> str:
    data = b""
    while not data.endswith(b"\n"):
        piece = os.read(0, 1)  # what follows belongs to the next question
        if not piece:
            break
        data += piece
    return data.decode("utf-8", "surrogateescape").rstrip("\r\n")
