"""Go's constants: numbers, characters and strings with their escapes."""

from __future__ import annotations

_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"',
}  # fmt: skip
_LENGTHS = {"x": 2, "u": 4, "U": 8}  # hexadecimal digits


def string(text: str) -> str:
    """Return what a quoted or raw string says. Raises `ValueError` for a wrong escape."""
    if text[0] == "`":
        return text[1:-1].replace("\r", "")
    return _unescaped(text[1:-1], "'")


def character(text: str) -> int:
    """Return the code point of a character constant. Raises `ValueError`."""
    value = _unescaped(text[1:-1], '"')
    if len(value) != 1:
        raise ValueError(f"malformed character constant: {text}")
    return ord(value)


def number(text: str) -> int | float:
    """Return an integer or a float. Raises `ValueError` for complex numbers, too, which nothing here prints."""
    digits = text.replace("_", "")
    try:
        lower = digits.lower().lstrip("+-")
        if lower.startswith(("0x", "0o", "0b")):
            return int(digits, 0)
        if lower.isdecimal():
            return int(digits, 8 if lower[0] == "0" and len(lower) > 1 else 10)
        return float(digits)
    except ValueError:
        raise ValueError(f'illegal number syntax: "{text}"') from None


def _unescaped(text: str, forbidden: str) -> str:
    if "\\" not in text:
        return text
    parts, rest = [], text
    while rest:
        before, slash, rest = rest.partition("\\")
        parts.append(before)
        if not slash:
            break
        letter, rest = rest[:1], rest[1:]
        if letter in _LENGTHS:
            length = _LENGTHS[letter]
            digits, rest = rest[:length], rest[length:]
        elif letter in "01234567" and letter:
            digits, rest = letter + rest[:2], rest[2:]
            length = 3
        else:
            if letter not in _ESCAPES or letter == forbidden:
                raise ValueError("invalid syntax")
            parts.append(_ESCAPES[letter])
            continue
        try:
            if len(digits) != length:
                raise ValueError
            parts.append(chr(int(digits, 16 if letter in _LENGTHS else 8)))
        except (ValueError, OverflowError):
            raise ValueError("invalid syntax") from None
    return "".join(parts)
