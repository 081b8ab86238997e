"""Columns as Go's tabwriter lays them out for docker: at least 10 wide, 3 spaces between."""

from __future__ import annotations

MINIMUM = 10
PADDING = 3


def align(rows: list[list[str]], minimum: int = MINIMUM, padding: int = PADDING) -> list[str]:
    """Return lines. The last cell of a row belongs to no column; a column ends at a row that lacks it."""
    widths: list[list[int]] = [[0] * len(row) for row in rows]
    columns = max((len(row) for row in rows), default=0)
    for column in range(columns - 1):
        start = 0
        while start < len(rows):
            if len(rows[start]) <= column + 1:
                start += 1
                continue
            end = start
            while end < len(rows) and len(rows[end]) > column + 1:
                end += 1
            width = max(minimum, *(display_width(row[column]) + padding for row in rows[start:end]))
            for row_widths in widths[start:end]:
                row_widths[column] = width
            start = end
    return [
        "".join(_filled(cell, width) for cell, width in zip(row[:-1], row_widths, strict=False)) + row[-1]
        for row, row_widths in zip(rows, widths, strict=True)
        if row
    ]


def _filled(cell: str, width: int) -> str:
    return cell + " " * (width - display_width(cell))


def display_width(text: str) -> int:
    """Return the columns that a text takes on a terminal: East Asian characters take two."""
    if text.isascii():
        return len(text)
    from unicodedata import east_asian_width

    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def ellipsis(text: str, length: int) -> str:
    """Cut `text` to `length` columns; an ellipsis says so."""
    if display_width(text) <= length:
        return text
    if length < 2:
        return text[:length]
    kept = text[: length - 1]
    while display_width(kept) > length - 1:
        kept = kept[:-1]
    return kept + "…"
