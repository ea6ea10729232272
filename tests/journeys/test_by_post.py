"""One person without e-mail and without login, from a letter in the morning post to an answer in the box by the
door."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine

from accounts.models import Customer, User
from privacy import vault
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.requests import execute, writing
from privacy.requests.models import Request
from privacy.requests.states import State
from tests import factories, pages
from tests.asked import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.journey]
BLOCK = "Dora Double<br>12 Elm Street<br>Salem MA 01970<br>United States"
# What nobody can do who has neither e-mail nor login.
OF_A_SCREEN = re.compile(r"log(ged|ging)? in|click|this link|press the button|this e-mail address", re.IGNORECASE)


@pytest.fixture(autouse=True)
def _settings(settings: Any, tmp_path: Any) -> None:
    settings.EXPORT_DIR = str(tmp_path / "exports")
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"


class Desk:
    """The privacy team's two, a manager, and the workers, on one day after the other."""

    def __init__(self) -> None:
        self.now = NOW
        # Who writes and posts the letter with a code does not take the code.
        self.pat, self.pia = (factories.staff(one, f"{one}@ilt.example", roles=("privacy",)) for one in ("pat", "pia"))
        self.mona = factories.staff("mona", "mona@ilt.example", roles=("manager",))

    def does(self, who: User, path: str, data: dict[str, Any] | None = None, status: int = 200) -> str:
        """Do a step, then let the workers do what follows; return what the page said."""
        with time_machine.travel(self.now, tick=False):
            answer = pages.signed_in(who).post(f"/admin/privacy/{path}", data or {}, follow=True)
            text = answer.text if not answer.streaming else ""
        assert answer.status_code == status, (path, re.findall(r'class="errorlist[^>]*>.*?</ul>', text, re.DOTALL))
        self.work()
        return text

    def work(self) -> None:
        for pk in Request.objects.exclude(step="").values_list("pk", flat=True):
            execute.run(pk, clock=self._tick, pause=lambda: None, rounds=60)
        with system("letter"):
            writing.send_due(now=self.now)

    def _tick(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def sleeps(self, days: int) -> None:
        self.now += timedelta(days=days)
        self.work()

    def waiting(self) -> list[str]:
        return sorted(_to_post().values_list("kind", flat=True))

    def posts(self, kind: str, who: User | None = None) -> str:
        """Print a letter from its page, post it and tick it off; return what its paper says."""
        who = who or self.pat
        letter = _to_post().get(kind=kind)
        base = f"/admin/privacy/request/{letter.request_id}"
        with time_machine.travel(self.now, tick=False):
            browser = pages.signed_in(who)
            assert "Letters to post" in browser.get("/admin/").text
            page = browser.get(f"{base}/letter/{letter.pk}/").text
            if kind == "copy_posted":
                copy = b"".join(browser.post(f"{base}/letter/{letter.pk}/copy/", {"take": "page"}).streaming_content)
                page += copy.decode()
        paper = page[page.index('<article class="letter">') :]
        assert BLOCK in paper, kind
        assert not OF_A_SCREEN.search(paper[: paper.index("</article>")]), OF_A_SCREEN.findall(paper)
        self.does(who, f"request/{letter.request_id}/step/posted/", {"letter": str(letter.pk)})
        letter.refresh_from_db()
        assert letter.sent_at is not None and letter.sealed_credentials is None
        return paper


def _to_post() -> Any:
    return Letter.objects.filter(by="post", sent_at=None, stopped_at=None)


@pytest.fixture
def desk(db: None) -> Desk:
    return Desk()


@pytest.fixture
def dora(db: None) -> Customer:
    customer = factories.customer("Dora", "Double", email="")
    factories.address(customer)
    factories.communication(customer, heading="About my sensor", body="Dora asks about a filter.")
    return customer


def files(desk: Desk, customer: Customer, kind: str) -> Request:
    """A signed letter of yesterday is written down."""
    yesterday = (desk.now - timedelta(days=1)).date().isoformat()
    data = {
        "kind": kind, "channel": "mail", "received_on": yesterday, "customer_number": customer.reference, "email": "",
        "name": "Dora Double", "asked_by": "self", "identity": "pending", "note": "",
    }  # fmt: skip
    desk.does(desk.pia, "request/add/", data)
    return Request.objects.get(kind=kind)


def proves(desk: Desk, request: Request) -> None:
    """The code goes by post, and comes back in a letter of hers."""
    desk.does(desk.pat, f"request/{request.pk}/step/code/")
    paper = desk.posts("posted_code")
    code = re.search(r"\b[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){2}\b", paper)
    assert code
    desk.sleeps(4)
    said = desk.does(desk.pia, f"request/{request.pk}/step/identity/", {"how": "post", "code": code[0]})
    assert "The identity is proved." in said


def agreed(plan: str, request: Request) -> dict[str, str]:
    """What is stated of a plan that came back signed."""
    number = re.search(r"Plan ([0-9A-F]{4}-[0-9A-F]{4})", plan)
    assert number
    return {"agreed": "signed_plan", "number": number[1], "plan_hash": request.plan_hash}


def agrees(desk: Desk, request: Request) -> None:
    """The second person, who had no part in it, lets it go on."""
    look = request.second_looks.filter(decided_at=None).order_by("pk").first()
    assert look is not None
    step = f"/admin/privacy/secondlook/{look.pk}/step/decide/"
    with time_machine.travel(desk.now, tick=False):
        answer = pages.decide(pages.signed_in(desk.mona), step, {"outcome": "go_on", "words": ""})
    assert answer.status_code == 302
    Request.objects.filter(pk=request.pk).update(next_action_at=desk.now)
    desk.work()
    request.refresh_from_db()


def test_from_a_signed_letter_to_a_copy_on_paper_and_to_a_removal(desk: Desk, dora: Customer) -> None:
    # A copy.
    asked = files(desk, dora, "access")
    assert desk.waiting() == ["acknowledgement"] and not asked.events.filter(kind="identity_asked").exists()
    desk.posts("acknowledgement")
    assert asked.events.filter(kind="identity_asked").count() == 1
    proves(desk, asked)
    agrees(desk, asked)
    assert desk.waiting() == ["copy_posted"], "what tells less than the copy waits no more"
    assert "Dora asks about a filter." in desk.posts("copy_posted")
    asked.refresh_from_db()
    assert asked.state == State.CLOSED and not asked.exports.filter(deleted_at=None).exists()

    # A removal.
    request = files(desk, dora, "erasure")
    desk.posts("acknowledgement")
    proves(desk, request)
    assert desk.waiting() == ["acknowledgement", "plan_ready"]
    desk.posts("acknowledgement")
    plan = desk.posts("plan_ready")
    desk.sleeps(40)
    request.refresh_from_db()
    assert request.state == State.PLANNED, "a signed letter does not end for want of a click"
    # A new year has begun, and the file of the request is kept for a year longer: the plan that she
    # signed is not what would happen.
    confirm = f"request/{request.pk}/step/confirm/"
    said = desk.does(desk.pia, confirm, agreed(plan, request), 400)
    assert "The plan has changed" in said and desk.waiting() == ["plan_ready"]
    request.refresh_from_db()
    assert "number on the signed letter" in desk.does(desk.pia, confirm, agreed(plan, request), 400)
    plan = desk.posts("plan_ready")
    desk.sleeps(3)
    request.refresh_from_db()
    desk.does(desk.pia, confirm, agreed(plan, request))
    assert desk.waiting() == ["late", "plan_confirmed"]
    agrees(desk, request)
    assert request.state == State.EXECUTED and not Customer.objects.filter(pk=dora.pk).exists()
    assert desk.waiting() == ["erasure_done"], "nothing else waits for the post after everything is gone"
    answer = desk.posts("erasure_done")
    assert "Your data was removed" in answer
    request.refresh_from_db()
    assert request.state == State.CLOSED and desk.waiting() == []
    left = Letter.objects.filter(request__in=[asked, request], sealed_letter__isnull=False)
    with vault.internal():
        assert not [one.kind for one in left.filter(request=request)], "burned"
