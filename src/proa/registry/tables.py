"""Reading configuration files of others (TOML): typed, and with errors that name the file and the key."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from proa.errors import InvalidArgument


class Table:
    """One table of a file. What nobody asked for is a mistake: `finish` says so."""

    def __init__(self, path: Path, entries: dict[str, object], name: str = "") -> None:
        self.path = path
        self._entries = entries
        self._name = name
        self._asked: set[str] = set()

    @classmethod
    def read(cls, path: Path) -> Table:
        """Read a file. Raises `InvalidArgument`, and `FileNotFoundError` when there is none."""
        try:
            return cls(path, tomllib.loads(path.read_text()))
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(path) from None
        except OSError as error:
            raise InvalidArgument(f"{path}: {(error.strerror or str(error)).lower()}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidArgument(f"{path}: {error}") from None

    def text(self, key: str, default: str = "") -> str:
        value = self._entries.get(key, default)
        self._asked.add(key)
        return value if isinstance(value, str) else self.wrong(key, "a string", value)

    def flag(self, key: str) -> bool:
        value = self._entries.get(key, False)
        self._asked.add(key)
        return value if isinstance(value, bool) else self.wrong(key, "a boolean", value)

    def texts(self, key: str) -> list[str]:
        """Return a list of strings; one string alone counts as one."""
        value = self.value(key)
        if isinstance(value, str):
            return [value]
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return value
        return [] if value is None else self.wrong(key, "a string or a list of strings", value)

    def table(self, key: str) -> Table:
        value = self.value(key)
        if value is not None and not isinstance(value, dict):
            self.wrong(key, "a table", value)
        return Table(self.path, value or {}, self.named(key))

    def tables(self, key: str) -> list[Table]:
        """Return an array of tables, `[[key]]`."""
        value = self.value(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(key, "an array of tables", value)
        found: list[Table] = []
        for number, each in enumerate(value):
            if not isinstance(each, dict):
                self.wrong(f"{key}[{number}]", "a table", each)
            found.append(Table(self.path, each, self.named(f"{key}[{number}]")))
        return found

    def value(self, key: str) -> object:
        self._asked.add(key)
        return self._entries.get(key)

    def named(self, key: str) -> str:
        """Return how a key is called in messages: host."https://mirror".ca."""
        shown = key if key.replace("_", "").replace("-", "").rstrip("]0123456789[").isalnum() else f'"{key}"'
        return f"{self._name}.{shown}" if self._name else shown

    def wrong(self, key: str, expected: str, value: object) -> NoReturn:
        self.fail(key, f"expected {expected}, not {value!r}")

    def fail(self, key: str, problem: str) -> NoReturn:
        raise InvalidArgument(f"{self.path}: {self.named(key)}: {problem}")

    def finish(self) -> None:
        """Complain about the first key that has no meaning."""
        for key in self._entries:
            if key not in self._asked:
                self.fail(key, f"unknown key; known are {', '.join(sorted(self._asked))}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries
