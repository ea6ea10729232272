"""The sealed form, by generated cases."""

from __future__ import annotations

import json
from datetime import datetime
from uuid import UUID, uuid4

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privacy.vault import envelope, uuid7

KEY = AESGCM(bytes(32))
NUMBERS = st.integers(-(2**63), 2**63 - 1)
NAMES = st.text(max_size=30)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(text=st.binary(max_size=300), number=NUMBERS, record=st.uuids(), label=NAMES, name=NAMES)
def test_what_is_sealed_opens_and_is_37_bytes_longer(
    text: bytes, number: int, record: UUID, label: str, name: str
) -> None:
    bound = envelope.context(label, name)
    sealed = envelope.seal(KEY, number, bound, record, text)
    assert len(sealed) == len(text) + envelope.OVERHEAD == len(text) + 37
    assert envelope.key_id(sealed) == number
    assert envelope.is_sealed(sealed)
    assert envelope.unseal(KEY, sealed, bound, record) == text


@given(position=st.integers(0, 10**6), flip=st.integers(1, 255), text=st.binary(max_size=60))
def test_no_byte_may_change(position: int, flip: int, text: bytes) -> None:
    record, bound = uuid4(), envelope.context("a", "b")
    sealed = bytearray(envelope.seal(KEY, 7, bound, record, text))
    where = 1 + position % (len(sealed) - 1)  # the version byte is checked apart
    sealed[where] ^= flip
    with pytest.raises(InvalidTag):
        envelope.unseal(KEY, bytes(sealed), bound, record)


def test_another_record_label_or_envelope_does_not_open() -> None:
    record, bound = uuid4(), envelope.context("orders.order", "fulfilment")
    sealed = envelope.seal(KEY, 7, bound, record, b"x")
    for other in (envelope.context("orders.orderf", "ulfilment"), envelope.context("orders.order", "order")):
        with pytest.raises(InvalidTag):
            envelope.unseal(KEY, sealed, other, record)
    with pytest.raises(InvalidTag):
        envelope.unseal(KEY, sealed, bound, uuid4())


@given(first=NAMES, second=NAMES, third=NAMES, fourth=NAMES)
def test_the_associated_data_of_two_envelopes_is_never_the_same(
    first: str, second: str, third: str, fourth: str
) -> None:
    same = (first, second) == (third, fourth)
    assert (envelope.context(first, second) == envelope.context(third, fourth)) is same


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is slow, not wrong
@given(payload=st.dictionaries(st.text(), JSON, max_size=5))
def test_a_payload_comes_back_as_it_was(payload: dict[str, object]) -> None:
    assert envelope.unpack(envelope.pack(payload)) == payload


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(payload=st.dictionaries(st.text(), JSON, max_size=5))
def test_what_versions_before_sealed_reads_the_same_and_they_read_what_is_sealed_now(
    payload: dict[str, object],
) -> None:
    before = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    assert envelope.unpack(before) == payload
    assert json.loads(envelope.pack(payload)) == payload


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, datetime(2026, 11, 30, 12, 0), {1}, b"x", object()])
def test_what_would_come_back_as_something_else_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        envelope.pack({"x": value})


@pytest.mark.parametrize("value", [b"", b"\x01" * 36, b"\x02" + bytes(60), "text", None, 7])
def test_what_has_not_the_sealed_form_is_told_apart(value: object) -> None:
    assert not envelope.is_sealed(value)


def test_record_ids_are_uuids_of_version_7_in_the_order_of_time() -> None:
    made = [uuid7() for _ in range(50)]
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}
    assert len(set(made)) == 50
    assert [one.int >> 80 for one in made] == sorted(one.int >> 80 for one in made)
    assert UUID(str(made[0])) == made[0]
