"""References and outcome codes."""

from __future__ import annotations

from uuid import uuid4

import pytest

from privacy.requests import codes
from privacy.requests.models import Request


def test_a_reference_survives_the_telephone() -> None:
    reference = codes.new_reference(2026)
    assert codes.read_reference(reference.lower().replace("-", " ")) == reference
    assert codes.read_reference(reference.replace("0", "o").replace("1", "l")) == reference


def test_every_wrong_character_in_a_reference_is_noticed() -> None:
    reference = codes.new_reference(2026)
    for place in (8, 9, 10, 11, 13, 14):
        for other in codes.ALPHABET:
            typed = reference[:place] + other + reference[place + 1 :]
            assert (codes.read_reference(typed) == reference) is (other == reference[place])
            assert codes.read_reference(typed) in (None, reference)


@pytest.mark.parametrize("typed", ["", "PR", "PR-2026-7K3M", "PR-2026-7K3M-9Q-1", "1 OR 1=1", "PR-2026-é777-77"])
def test_what_is_no_reference_is_none(typed: str) -> None:
    assert codes.read_reference(typed) is None


def test_a_code_is_kept_as_a_hash_only_and_read_in_any_spelling() -> None:
    request, code = Request(id=uuid4()), codes.new_code()
    request.outcome_code_hash = hashed = codes.hash_of_code(request, code)
    assert code.replace("-", "") not in hashed
    assert codes.code_matches(code.lower().replace("-", " "), request)
    assert not codes.code_matches(code[:-1] + ("A" if code[-1] != "A" else "B"), request)
    assert not codes.code_matches(code, Request(id=request.pk))
    assert not codes.code_matches(code, None)
