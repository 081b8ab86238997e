"""The results as a table for people, or as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable

from bench.measure import Comparison


def describe_machine() -> dict[str, object]:
    return {"kernel": platform.release(), "cpus": os.cpu_count(), "python": platform.python_version(),
            "load": round(os.getloadavg()[0], 1)}  # fmt: skip


def table(comparison: Comparison) -> str:
    """One comparison: median, least, 90th percentile, and how many times better than Docker."""
    unit = comparison.unit
    head = f"{comparison.title}" + (f"   (aim: {comparison.target})" if comparison.target else "")
    lines = [head, f"  {'':<24}{'median':>10}{'least':>10}{'p90':>10}{'vs Docker':>12}{'rounds':>8}"]
    for series in comparison.series:
        ratio = comparison.ratio(series)
        shown = f"{ratio:.1f}x" if ratio else ""
        values = "".join(f"{value:>7.1f} {unit:<2}" for value in (series.median, series.least, series.p90))
        lines.append(f"  {series.subject:<24}{values}{shown:>12}{len(series.values):>8}")
    return "\n".join(lines) + "\n"


def as_json(comparisons: Iterable[Comparison]) -> str:
    return json.dumps(
        {
            "machine": describe_machine(),
            "results": [
                {
                    "title": comparison.title,
                    "unit": comparison.unit,
                    "target": comparison.target,
                    "series": [
                        {"subject": series.subject, "median": series.median, "values": series.values,
                         "ratio": comparison.ratio(series)}
                        for series in comparison.series
                    ],
                }
                for comparison in comparisons
            ],
        },
        indent=1,
    )  # fmt: skip
