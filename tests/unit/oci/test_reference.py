"""Docker's rules for names: shorthands, canonical and familiar forms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proa.errors import InvalidArgument
from proa.oci.reference import Reference

SHA = "sha256:" + "ab" * 32

# text: canonical form, familiar form
NAMES = {
    "busybox": ("docker.io/library/busybox:latest", "busybox:latest"),
    "busybox:1.36": ("docker.io/library/busybox:1.36", "busybox:1.36"),
    "library/busybox": ("docker.io/library/busybox:latest", "busybox:latest"),
    "docker.io/busybox": ("docker.io/library/busybox:latest", "busybox:latest"),
    "index.docker.io/busybox": ("docker.io/library/busybox:latest", "busybox:latest"),
    "docker.io/library/busybox": ("docker.io/library/busybox:latest", "busybox:latest"),
    "docker.io/library/a/b": ("docker.io/library/a/b:latest", "library/a/b:latest"),
    "team/app": ("docker.io/team/app:latest", "team/app:latest"),
    "a/b/c": ("docker.io/a/b/c:latest", "a/b/c:latest"),
    "localhost/app": ("localhost/app:latest", "localhost/app:latest"),
    "localhost:5000/app:v1": ("localhost:5000/app:v1", "localhost:5000/app:v1"),
    "127.0.0.1:5000/a/b": ("127.0.0.1:5000/a/b:latest", "127.0.0.1:5000/a/b:latest"),
    "[::1]:5000/app": ("[::1]:5000/app:latest", "[::1]:5000/app:latest"),
    "registry.example.com/app": ("registry.example.com/app:latest", "registry.example.com/app:latest"),
    "Registry/app": ("Registry/app:latest", "Registry/app:latest"),
    f"busybox@{SHA}": (f"docker.io/library/busybox@{SHA}", f"busybox@{SHA}"),
    f"busybox:1.36@{SHA}": (f"docker.io/library/busybox:1.36@{SHA}", f"busybox:1.36@{SHA}"),
    "a_b__c.d-e--f": ("docker.io/library/a_b__c.d-e--f:latest", "a_b__c.d-e--f:latest"),
    "foo:5000": ("docker.io/library/foo:5000", "foo:5000"),
    "x:" + "t" * 128: ("docker.io/library/x:" + "t" * 128, "x:" + "t" * 128),
}


@pytest.mark.parametrize("text", NAMES)
def test_names_are_completed_and_shortened_as_docker_does(text: str) -> None:
    reference = Reference.parse(text)
    assert (str(reference), reference.familiar) == NAMES[text]
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar) == reference


def test_a_repository_stays_without_a_tag_when_no_default_is_wanted() -> None:
    reference = Reference.parse("busybox", default_tag=None)
    assert reference.tag is None
    assert str(reference) == reference.name == "docker.io/library/busybox"


def test_parts_can_be_replaced() -> None:
    reference = Reference.parse(f"team/app:v1@{SHA}")
    assert reference.tag_or_digest == SHA
    assert str(reference.with_tag("v2")) == "docker.io/team/app:v2"
    assert str(reference.with_digest(SHA)) == f"docker.io/team/app@{SHA}"
    assert str(reference.repository()) == "docker.io/team/app"
    with pytest.raises(InvalidArgument, match="invalid tag format"):
        reference.with_tag("no tag")


@given(st.text(max_size=80))
def test_any_text_is_either_refused_or_round_trips(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidArgument:
        return
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar) == reference
