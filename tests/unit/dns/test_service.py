"""A container's name server by itself: what it does when the program is wrong."""

from __future__ import annotations

import pytest

from proa.dns.directory import Directory
from proa.dns.forwarder import Forwarder
from proa.dns.service import Service
from proa.linux.loop import Loop
from rig.nameserver import query


class Broken(Directory):
    def addresses(self, *_: object) -> None:
        raise AssertionError("what nobody thought of")


def test_a_mistake_costs_one_answer_and_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    loop = Loop()
    service = Service(loop, Broken(), Forwarder(loop), -1)
    answers: list[bytes] = []
    service._ask(query("db"), answers.append)
    assert answers == [b""]  # silence
    told = capfd.readouterr().err
    assert told.startswith("proa-dns: a packet of ") and "what nobody thought of" in told
    assert query("db").hex() in told
    loop.close()
