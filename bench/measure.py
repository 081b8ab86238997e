"""Rounds, medians and ratios."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

IDLE = 0.2  # seconds before each measurement

# Does the work once and returns what it measured (mostly milliseconds); None measures its wall time.
Work = Callable[[], float | None]


@dataclass
class Series:
    """What one engine's rounds measured."""

    subject: str
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        return min(self.values)

    @property
    def p90(self) -> float:
        return sorted(self.values)[int(len(self.values) * 0.9)] if len(self.values) > 1 else self.values[0]


@dataclass
class Comparison:
    """The same work by several engines. `ratio` is against Docker's median of the same rounds."""

    title: str
    unit: str
    series: list[Series]
    more_is_better: bool = False
    target: str = ""

    def ratio(self, series: Series) -> float | None:
        """How many times better the series is than Docker; None for Docker's own, and without it."""
        others = [one for one in self.series if one.subject == "docker" or one.subject.endswith("dockerd")]
        if not others or others[0] is series:
            return None
        pair = (series.median, others[0].median)
        return pair[0] / pair[1] if self.more_is_better else pair[1] / pair[0]


def compare(
    title: str,
    works: dict[str, Work],
    rounds: int,
    *,
    unit: str = "ms",
    idle: float = IDLE,
    warm_up: int = 2,
    more_is_better: bool = False,
    target: str = "",
) -> Comparison:
    """Measure `works` (subject -> work) in `rounds` interleaved rounds after `warm_up` unmeasured ones."""
    series = {subject: Series(subject) for subject in works}
    order = list(works)
    for number in range(-warm_up, rounds):
        random.shuffle(order)
        for subject in order:
            time.sleep(idle)
            begun = time.perf_counter()
            measured = works[subject]()
            taken = (time.perf_counter() - begun) * 1000
            if number >= 0:
                series[subject].values.append(taken if measured is None else measured)
    return Comparison(title, unit, list(series.values()), more_is_better, target)
