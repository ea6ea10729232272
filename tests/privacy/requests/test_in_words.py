"""What happened to a request, and one value of a record, in words: whatever version of the site wrote it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import Address
from privacy import datamap, vault
from privacy.calendar import undated
from privacy.requests import history, in_words, said, shown
from privacy.requests.filing import Filed
from privacy.requests.models import Export, OneTimeLink, Request, RequestEvent
from privacy.retention import decided
from privacy.retention.models import Decision, HeldValue
from tests.asked import NOW, TODAY

REQUEST = Request(reference="PR-2026-7K3M-9Q", kind="access", state="closed", subject_id=uuid4())
DAY = "20 November 2026"


def decision(action: str, **more: Any) -> Decision:
    """One about a kind of record of an earlier release, as the site signs it."""
    return decided.sign(
        Decision(request=REQUEST, label="old.kind", record_id=uuid4(), envelope="old", action=action, **more)
    )


def test_what_became_of_a_record_is_said_of_a_kind_that_this_version_does_not_know() -> None:
    done = [decision(action, done_at=at) for action in ("erase", "keep") for at in (None, NOW)]
    planted = Decision(request=REQUEST, label="old.kind", record_id=uuid4(), action="erase", done_at=NOW, mac="")
    lines = in_words.decisions([*done, decision("give"), planted])
    assert {one["Record"] for one in lines} == {"old.kind"}
    assert [one["What became of it"] for one in lines] == [
        "to be erased", "erased", "kept", "kept first, and erased since", "given in the copy", "to be erased",
    ]  # fmt: skip
    kept = HeldValue(label="old.kind", record_id=uuid4(), kept_at=NOW, was={"first_name": "Alice", "fax": ""})
    (line,) = in_words.held_values([kept])
    assert list(line.values()) == [NOW, "old.kind", "First name: Alice"]


def test_what_the_file_of_a_request_says_beside_its_decisions_is_said_a_line_each() -> None:
    leftover = {"title": "Keyed block token", "holds": "A keyed hash", "until": "2026-11-20"}
    plan = {"warnings": ["Your instrument is here."], "leftovers": [leftover], "unjoined": "1 message is not joined."}
    assert in_words.file_of_request(
        {"plan": plan, "refusal": {"ground": "Nine letters", "authority": "Art. 12(5)"}}
    ) == (
        "Said with the plan: Your instrument is here.\n"
        f"A removal by this plan leaves keyed block token: A keyed hash; until {DAY}.\n"
        "1 message is not joined.\n"
        "Refused: Nine letters. Art. 12(5)"
    )


def test_a_link_is_said_by_what_it_is_for_and_a_demo_without_mail_says_what_it_does_instead(settings: Any) -> None:
    link = OneTimeLink(request=REQUEST, purpose="not_me", created_at=NOW, expires_at=NOW + timedelta(days=30))
    (line,) = in_words.links([link])
    assert list(line.values()) == [REQUEST.reference, link.get_purpose_display(), NOW, NOW + timedelta(days=30), None]
    event = RequestEvent(request=REQUEST, kind="step", step="close", at=NOW)
    unknown = RequestEvent(request=REQUEST, kind="step", step="of_before", at=NOW)
    assert [in_words.happened(one) for one in (event, unknown)] == ["Answer sent", "Step done"]
    assert in_words.sent(NOW) == said.moment(NOW)
    settings.DEMO, settings.EMAIL_BACKEND = True, "django.core.mail.backends.dummy.EmailBackend"
    for text in (in_words.happened(event), in_words.sent(NOW)):
        assert text.endswith("this demo sends no mail")


def test_each_kind_of_value_has_words_and_a_table_of_values_has_none() -> None:
    values = [None, "", "Salem", True, False, TODAY, undated.DAY, 3, [TODAY, 3], {"one"}]
    assert [said.value(one) for one in values] == [
        "", "", "Salem", "yes", "no", DAY, undated.SENTENCE, "3", f"{DAY}, 3", "one",
    ]  # fmt: skip
    with pytest.raises(TypeError):
        said.value({"format": 1})
    amounts = [None, Decimal("1250"), Decimal("0.0125")]
    address = datamap.for_model(Address)
    empty = {name: "" for lines in address.blocks.values() for line in lines for name in line}
    assert empty and list(shown._with_blocks(address, {}, empty, {}, but={})) == [], (
        "an address of which nothing is known"
    )
    assert "It is not lost; please try again later." in said.unreadable(vault.KeyUnavailable())
    assert [said.money(one) for one in amounts] == ["", "USD 1,250.00", "USD 0.0125"]


def test_what_stands_in_logs_for_a_row_names_nobody() -> None:
    rows = [RequestEvent(kind="received", at=NOW), OneTimeLink(purpose="result"), Export(id=REQUEST.pk), REQUEST]
    assert [str(one) for one in rows] == [
        "received 2026-11-20 15:00", "link for result", f"copy {REQUEST.pk}", REQUEST.reference,
    ]  # fmt: skip
    assert "7K3M-9QXA" not in repr(Filed(REQUEST, "7K3M-9QXA-22BD"))
    assert history.named("operator", "shell") == "an operator of our server"
