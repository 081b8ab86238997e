"""What a test asks of the machine. A skip on a developer's machine, a failure under PROA_MUST_WORK=1.

A skipped test is one that nobody sees failing, so the CI sets PROA_MUST_WORK and lets no skip pass.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

MUST_WORK = os.environ.get("PROA_MUST_WORK") == "1"
LONG = os.environ.get("PROA_TEST_LONG") == "1"
PATIENCE = float(os.environ.get("PROA_TEST_PATIENCE", "1"))  # how many times slower this machine may be


def need(condition: object, what: str) -> None:
    """Skip the test unless `condition` holds; `what` names what is missing."""
    if not condition:
        pytest.skip(f"needs {what}")


def rounds(usually: int, long: int) -> int:
    """How often to try what goes wrong by chance: PROA_TEST_LONG=1 asks for the `long` form."""
    return long if LONG else usually


def pure_cgroup2() -> bool:
    """Whether cgroup v2 alone is mounted, with its controllers (cgroups(7))."""
    return Path("/sys/fs/cgroup/cgroup.controllers").exists()


class MustWork:
    """The pytest plugin that turns every skip into a failure."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self):  # type: ignore[no-untyped-def]
        return self._loud((yield))

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self):  # type: ignore[no-untyped-def]
        return self._loud((yield))

    @staticmethod
    def _loud(report: pytest.TestReport | pytest.CollectReport) -> pytest.TestReport | pytest.CollectReport:
        if report.outcome == "skipped" and not hasattr(report, "wasxfail"):
            why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            report.outcome = "failed"
            report.longrepr = f"skipped although PROA_MUST_WORK=1: {why}"
        return report
