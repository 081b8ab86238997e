"""The keys that end a session and leave the container running: docker's `--detach-keys` grammar."""

from __future__ import annotations

from proa.errors import InvalidArgument

DEFAULT = "ctrl-p,ctrl-q"
_CONTROL = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse(text: str) -> bytes:
    """Return the bytes of "ctrl-p,ctrl-q" or "a,b". Raises `InvalidArgument`."""
    return bytes(_code(key) for key in text.split(","))


def _code(key: str) -> int:
    if len(key) == 1 and key.isascii():
        return ord(key)
    letter = key.removeprefix("ctrl-")
    if key.startswith("ctrl-") and len(letter) == 1:
        if letter in _CONTROL:
            return _CONTROL[letter]
        if "a" <= letter <= "z":
            return ord(letter) - 96
    raise InvalidArgument(f"Unknown character: '{key}'")


class Watcher:
    """Looks for the keys in what the user types; keys of a sequence that breaks off are passed on late."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._seen = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Return what the container gets of `data`, and whether the sequence is complete."""
        if not self._keys:
            return data, False
        passed = bytearray()
        for byte in data:
            if byte == self._keys[self._seen]:
                self._seen += 1
                if self._seen == len(self._keys):
                    self._seen = 0
                    return bytes(passed), True
                continue
            passed += self._keys[: self._seen]
            self._seen = 0
            if byte == self._keys[0]:
                self._seen = 1
            else:
                passed.append(byte)
        return bytes(passed), False
