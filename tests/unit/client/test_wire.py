"""JSON without `json`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proa.client.wire import decode, encode
from proa.errors import Internal

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_as_json_does(value: Any) -> None:
    assert json.loads(encode(value)) == value
    assert decode(json.dumps(value, indent=1).encode()) == value
    assert decode(b" \r\n" + encode(value) + b"\n") == value


@pytest.mark.parametrize(
    "data", [b"", b"{", b"nope", b'{"a":}', b"[1,]", b'"\x01"', b"1 2", b'{"a":1}}', b"<html>"]
)
def test_no_json(data: bytes) -> None:
    with pytest.raises(Internal, match="the engine's answer"):
        decode(data)


def test_no_json_form() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        encode(object())
