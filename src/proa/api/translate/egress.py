"""Egress rules, of which Docker's bodies know nothing: from a label to options, and back for `inspect`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from proa import times
from proa.engine import options as engine
from proa.engine.records import Container
from proa.network.egress import parse

LABEL = "org.proa.egress"  # an annotation or a label: rules, between spaces or commas


def wanted(labels: Mapping[str, str], annotations: Mapping[str, str]) -> engine.Egress | None:
    """Return the rules that a container is created with, None for none. Raises `InvalidArgument`."""
    text = annotations.get(LABEL, labels.get(LABEL))
    return None if text is None else egress([text])


def egress(words: Iterable[str]) -> engine.Egress:
    """Read rules. Raises `InvalidArgument`."""
    return engine.Egress(allow=[str(rule) for rule in parse(words)])


def document(record: Container) -> dict[str, Any]:
    """Return what holds for a container that has rules, and what they have refused in a day of its last run."""
    assert record.options.egress is not None
    return {
        "Allow": record.options.egress.allow,
        "Refused": [
            {
                "Protocol": refusal.protocol,
                "Address": refusal.address,
                "Port": refusal.port,
                "Name": refusal.name,
                "Count": refusal.count,
                "Time": times.format_time(refusal.time),
            }
            for refusal in record.refused
        ],
    }
