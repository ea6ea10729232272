"""References, codes and links."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from privacy.requests import codes, links
from privacy.requests.models import OneTimeLink, Request
from tests.asked import NOW, filed


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


def test_a_link_works_once(alice) -> None:
    request = filed(alice)
    token = links.make_link(request, OneTimeLink.Purpose.RESULT, to="", now=NOW)
    assert token not in str(OneTimeLink.objects.values())
    assert links.look(token, now=NOW).request == request
    assert links.look(token, now=NOW).request == request, "looking does not use it up"
    assert links.use(token, now=NOW).request == request
    with pytest.raises(links.LinkRefused):
        links.use(token, now=NOW)
    with pytest.raises(links.LinkRefused):
        links.look(token, now=NOW)


def test_a_link_expires(alice) -> None:
    token = links.make_link(filed(alice), OneTimeLink.Purpose.IDENTITY, to="", now=NOW)
    later = NOW + links.LINK_LIVES + timedelta(seconds=1)
    with pytest.raises(links.LinkRefused):
        links.use(token, now=later)


def test_an_unknown_token_is_refused(db) -> None:
    with pytest.raises(links.LinkRefused):
        links.use("made-up", now=NOW)
