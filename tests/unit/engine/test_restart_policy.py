"""Restart policies: which ends are followed by a start, and after how long."""

from __future__ import annotations

import pytest

from proa.engine.containers import restart_policy
from proa.engine.options import ContainerOptions, RestartPolicy
from proa.engine.records import Container, State, Status
from proa.times import SECOND


def ended(policy: RestartPolicy, **state: object) -> Container:
    return Container(
        id="a" * 64,
        name="box",
        created=1,
        image_id="",
        layers=[],
        options=ContainerOptions(image="busybox", restart_policy=policy),
        state=State(status=Status.EXITED, started_at=1, **state),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("name", "limit", "code", "count", "by_user", "after_end", "with_engine"),
    [
        ("no", 0, 1, 0, False, False, False),
        ("always", 0, 0, 0, False, True, True),
        ("always", 0, 1, 99, False, True, True),
        ("always", 0, 137, 0, True, False, True),
        ("unless-stopped", 0, 0, 0, False, True, True),
        ("unless-stopped", 0, 137, 0, True, False, False),
        ("on-failure", 0, 0, 0, False, False, False),
        ("on-failure", 0, 1, 99, False, True, True),
        ("on-failure", 0, 137, 0, True, False, False),
        ("on-failure", 2, 1, 1, False, True, True),
        ("on-failure", 2, 1, 2, False, False, False),
    ],
)
def test_policies(
    name: str, limit: int, code: int, count: int, by_user: bool, after_end: bool, with_engine: bool
) -> None:
    policy = RestartPolicy(name=name, maximum_retries=limit)  # type: ignore[arg-type]
    record = ended(policy, exit_code=code, restart_count=count, stopped_by_user=by_user)
    assert restart_policy.wanted(record) is after_end
    assert restart_policy.wanted_with_engine(record) is with_engine


def test_a_container_that_was_never_started_is_left_alone() -> None:
    record = ended(RestartPolicy(name="always"))
    record.state = State()
    assert not restart_policy.wanted_with_engine(record)


def test_delays_double_to_a_minute_and_begin_anew_after_a_good_run() -> None:
    delays = [0.0]
    for _ in range(12):
        delays.append(restart_policy.next_delay(delays[-1], SECOND))
    assert delays[1:5] == [0.1, 0.2, 0.4, 0.8]
    assert delays[-2:] == [60.0, 60.0]
    assert restart_policy.next_delay(60.0, 10 * SECOND) == 0.1
