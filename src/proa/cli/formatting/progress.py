"""Messages of a pull or import: one line per layer that is rewritten on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import time

from proa.cli.formatting.units import bytes_size
from proa.client.terminal import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TextIO

_BAR = 50  # characters
_NARROW = 110  # columns below which there is no room for the bar
_DEFAULT_COLUMNS = 200


def show(messages: Iterable[dict[str, Any]], output: TextIO) -> None:
    """Write all messages to `output` as they come."""
    terminal = os.isatty(output.fileno())
    lines: dict[str, int] = {}
    for message in messages:
        if message.get("aux") is not None:  # for programs, not for people
            continue
        identifier = message.get("id", "")
        progress = message.get("progressDetail") or {}
        if terminal and identifier and (progress or message.get("progressDetail") is not None):
            _rewrite(message, identifier, lines, output)
        else:
            lines.clear()
            if terminal or not (progress.get("current") or progress.get("total")):
                output.write(_text(message) + ("" if "stream" in message else "\n"))
        output.flush()


def _rewrite(message: dict[str, Any], identifier: str, lines: dict[str, int], output: TextIO) -> None:
    """Move up to the line of `identifier` (a new one at the bottom), write, and move down again."""
    if identifier not in lines:
        lines[identifier] = len(lines)
        output.write("\n")
    up = len(lines) - lines[identifier]
    bar = _progress(message.get("progressDetail") or {}, _columns(output))
    output.write(f"\033[{up}A\033[2K\r{_text(message)} {bar}\r\033[{up}B")


def _text(message: dict[str, Any]) -> str:
    if "stream" in message:
        return str(message["stream"])
    identifier = message.get("id", "")
    text = f"{identifier}: " if identifier else ""
    if message.get("from"):
        text += f"(from {message['from']}) "
    return text + str(message.get("status", ""))


def _columns(output: TextIO) -> int:
    found = size(output.fileno())
    return found[1] if found else _DEFAULT_COLUMNS


def _progress(detail: dict[str, Any], columns: int) -> str:
    """Return "[=====>     ]  1.2MB/3.4MB" as far as the width allows."""
    current, total = detail.get("current", 0), detail.get("total", 0)
    if current <= 0 and total <= 0:
        return ""
    if detail.get("units"):
        return f"{current}/{total} {detail['units']}" if total else f"{current} {detail['units']}"
    if total <= 0:
        return f"{bytes_size(current):>8}"
    share = min(int(current / total * 100), 100) // 2
    bar = ""
    if columns > _NARROW:
        bar = f"[{'=' * share}>{' ' * max(_BAR - share, 0)}] "
    if current > total:  # a total that was wrong is not shown
        return f"{bar}{bytes_size(current):>8}"
    return f"{bar}{bytes_size(current):>8}/{bytes_size(total)}{_time_left(detail, current, total)}"


def _time_left(detail: dict[str, Any], current: int, total: int) -> str:
    """Return " 12s" when the message says when it began and the end is in sight."""
    begun = detail.get("start", 0)
    elapsed = int(time.time()) - begun if begun else 0
    if elapsed <= 0 or current >= total:
        return ""
    return f" {int(elapsed / current * (total - current))}s"
