"""A listing in docker's forms: the usual table, `--format json`, `raw`, `table TEMPLATE` or `TEMPLATE`.

A kind of listing is a `Listing`: its fields (name -> heading and how the text is made of one object of the
engine's answer) and its usual columns. Templates are imported only when one is used.
"""

from __future__ import annotations

from proa.cli.formatting.tables import align

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from proa.templates.values import Fields

    Field = tuple[str, Callable[..., Any]]

_PROBLEM = "template parsing error"
_WITH_FLAG = frozenset({"Digest", "Size"})


class Listing:
    """What can be shown of objects of one kind."""

    def __init__(
        self,
        type_name: str,
        fields: dict[str, Field],
        columns: Sequence[str],
        raw: Sequence[tuple[str, str]] = (),
        problems: tuple[str, str] = (_PROBLEM, _PROBLEM),
    ) -> None:
        """`type_name` stands in the messages about templates that name unknown fields.

        `raw` are the names and fields of `--format raw`; the first is all that `--quiet` leaves. `problems` stand
        before what is wrong with a template, and what goes wrong with it.
        """
        self.raw = raw
        self.problems = problems
        self.type_name = type_name
        self.fields = fields
        self.columns = columns

    def lines(
        self, objects: Iterable[Any], form: str = "", columns: Sequence[str] = (), *, quiet: bool = False
    ) -> list[str]:
        """Return the lines to print. Raises `TemplateError` (as `InvalidArgument`) for a wrong template."""
        if form in ("", "table"):
            return self._table(objects, columns or self.columns)
        if form == "raw" and self.raw:
            return self._raw(objects, columns or self.columns, quiet)
        return self._templated(objects, form)

    def row(self, one: Any) -> Fields:
        """Return an object as templates see it."""
        from proa.templates.values import Fields

        return Fields(self.type_name, {name: maker for name, (_, maker) in self.fields.items()}, one)

    def _table(self, objects: Iterable[Any], columns: Sequence[str]) -> list[str]:
        rows = [[self.fields[name][0] for name in columns]]
        rows += [[str(self.fields[name][1](one)) for name in columns] for one in objects]
        return align(rows)

    def _raw(self, objects: Iterable[Any], columns: Sequence[str], quiet: bool) -> list[str]:
        """A line a field and an empty one; fields that are no usual columns only with their flag."""
        optional = set(self.fields) - set(self.columns) - set(columns)
        shown = self.raw[:1] if quiet else [pair for pair in self.raw if pair[1] not in optional & _WITH_FLAG]
        lines = []
        for one in objects:
            lines += [f"{label}: {self.fields[name][1](one)}".rstrip(" ") for label, name in shown]
            lines += [] if quiet else [""]
        return lines

    def _templated(self, objects: Iterable[Any], form: str) -> list[str]:
        from proa.templates.syntax import TemplateError
        from proa.templates.template import Template
        from proa.templates.values import Fields

        table = form.startswith("table ")
        text = form.removeprefix("table ").strip() if table else form
        text = "{{json .}}" if text == "json" else text.replace("\\t", "\t").replace("\\n", "\n")
        try:
            template = Template(text)
        except TemplateError as error:
            raise TemplateError(f"{self.problems[0]}: {error.message}") from None
        try:
            lines = [template.render(self.row(one)) for one in objects]
            if not table:
                return lines
            headings = {name: _heading(name, heading) for name, (heading, _) in self.fields.items()}
            header = template.render(Fields(self.type_name, headings, None), header=True)
        except TemplateError as error:
            raise TemplateError(f"{self.problems[1]}: {error.message}") from None
        return align([line.split("\t") for line in [header, *lines]])


def _heading(name: str, heading: str) -> Callable[..., str]:
    """The heading of a field; a label's is its own name, "com.example.some_thing" -> "some thing"."""
    if name == "Label":
        return lambda _source, label: label.rpartition(".")[2].replace("-", " ").replace("_", " ")
    return lambda _source: heading
