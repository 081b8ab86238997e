"""Go's fmt: print, println and printf."""

from __future__ import annotations

from proa.templates.values import show, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FLAGS = "+-# 0"
_WIDEST = 1_000_000  # characters; Go ignores what is more


def printed(*values: Any) -> str:
    """fmt.Sprint: a space between two operands when neither is a text."""
    text = ""
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            text += " "
        text += _nil(value)
    return text


def println(*values: Any) -> str:
    return " ".join(_nil(value) for value in values) + "\n"


def _nil(value: Any) -> str:
    return "<nil>" if value is None else show(value)


def printf(form: str, *values: Any) -> str:
    """fmt.Sprintf: its verbs for texts, integers, floats and truth values, and its notes about wrong ones."""
    rest, parts, position = list(values), [], 0
    while position < len(form):
        start = form.find("%", position)
        if start < 0:
            break
        parts.append(form[position:start])
        position, text = _directive(form, start + 1, rest)
        parts.append(text)
    parts.append(form[position:])
    if rest:
        parts.append(f"%!(EXTRA {', '.join(f'{type_name(value)}={_nil(value)}' for value in rest)})")
    return "".join(parts)


def _directive(form: str, position: int, rest: list[Any]) -> tuple[int, str]:
    """Format one value by what stands behind a "%"; returns where it ends, too."""
    start = position
    while form[position : position + 1] and form[position] in _FLAGS:
        position += 1
    flags = form[start:position]
    position, width = _number(form, position, rest)
    precision = None
    if form[position : position + 1] == ".":
        position, precision = _number(form, position + 1, rest)
        precision = precision or 0
    verb = form[position : position + 1]
    if not verb:
        return position, "%!(NOVERB)"
    position += 1
    if verb == "%":
        return position, "%"
    if not rest:
        return position, f"%!{verb}(MISSING)"
    text = formatted(verb, rest.pop(0), precision, flags)
    if "-" in flags:
        return position, text.ljust(width or 0)
    if "0" in flags and verb in "dxXobfeEgG" and text[:1] in ("-", "+"):
        return position, text[0] + text[1:].rjust((width or 1) - 1, "0")
    return position, text.rjust(width or 0, "0" if "0" in flags and verb in "dxXobfeEgG" else " ")


def _number(form: str, position: int, rest: list[Any]) -> tuple[int, int | None]:
    if form[position : position + 1] == "*":
        value = rest.pop(0) if rest else 0
        return position + 1, value if isinstance(value, int) and value <= _WIDEST else 0
    start = position
    while form[position : position + 1].isdecimal():
        position += 1
    value = int(form[start:position]) if position > start else None
    return position, None if value is not None and value > _WIDEST else value


def formatted(verb: str, value: Any, precision: int | None, flags: str) -> str:
    """Return one value by one verb, without its width."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    integer = number and isinstance(value, int)
    if verb == "v" or (verb == "s" and not number and not isinstance(value, bool) and value is not None):
        text = _nil(value)
        return text[:precision] if precision is not None and isinstance(value, str) else text
    if verb == "T":
        return type_name(value)
    if verb == "q" and isinstance(value, str):
        return quoted(value)
    if verb == "q" and isinstance(value, (list, tuple)):
        return f"[{' '.join(formatted('q', item, None, '') for item in value)}]"
    if verb == "t" and isinstance(value, bool):
        return show(value)
    if verb in "dxXob" and integer:
        text = format(value, verb)
        text = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(verb, "") + text if "#" in flags else text
        return f"+{text}" if "+" in flags and value >= 0 else text
    if verb in "cU" and integer:
        return chr(value) if verb == "c" else f"U+{value:04X}"
    if verb in "xX" and isinstance(value, str):
        digits = value.encode("utf-8", "surrogatepass").hex()
        return digits if verb == "x" else digits.upper()
    if verb in "feEgG" and number and not integer:
        if verb in "gG" and precision is None:
            return show(value)
        text = format(value, f".{6 if precision is None else precision}{verb}")
        return f"+{text}" if "+" in flags and value >= 0 else text
    if value is None:
        return f"%!{verb}(<nil>)"
    return f"%!{verb}({type_name(value)}={show(value)})"


def quoted(text: str) -> str:
    """Go's %q of a text."""
    from proa.templates.lexer import quoted as simple

    if text.isprintable():
        return simple(text)
    escaped = simple(text)
    return "".join(character if character.isprintable() else _escape(character) for character in escaped)


def _escape(character: str) -> str:
    names = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\r": "\\r", "\v": "\\v"}
    code = ord(character)
    if code < 0x80:
        return names.get(character) or f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
