"""`--attach STDIN|STDOUT|STDERR`."""

from __future__ import annotations


def stream(text: str) -> str:
    """Return "stdin", "stdout" or "stderr". Raises `ValueError`."""
    name = text.lower()
    if name not in ("stdin", "stdout", "stderr"):
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return name
