"""The steps that a customer takes in a return: what each button says, and what its page says before it is taken.

What must never happen: a quote accepted that the person did not read. So the page sends back what it showed, and
`services.transition` holds that against the return under its lock.
"""

from __future__ import annotations

from django.urls import reverse

from privacy.templatetags.pages import money
from privacy.views.check import Check
from rma import services
from rma.models import RMA

State = RMA.State

#: The button for each step that a customer may take.
ACTS: dict[str, str] = {
    State.IN_TRANSIT: "I have sent the instrument",
    State.APPROVED: "Accept the quote",
    State.DECLINED: "Decline the quote",
    State.CANCELLED: "Cancel this return",
}
#: After these there is nothing more to do: their buttons do not stand out.
ENDS = frozenset({State.DECLINED, State.CANCELLED})
TITLES: dict[str, str] = {
    State.IN_TRANSIT: "Have you sent the instrument?",
    State.APPROVED: "Accept the quote?",
    State.DECLINED: "Decline the quote?",
    State.CANCELLED: "Cancel this return?",
}
CHANGED = (
    "The return or its quote has changed since you opened this page. Nothing was done. Please look at it once more."
)


def check(rma: RMA, to: str, *, is_changed: bool = False) -> Check:
    """Return what is said before the customer takes the return to state `to`."""
    about = [("Return", rma.number), ("Instrument", rma.instrument.model_name)]
    if rma.quote is not None:
        about.append(("Quote", money(rma.quote)))
    happens, lost = _meaning(rma, to)
    return Check(
        title=TITLES[to],
        about=about,
        happens=happens,
        lost=lost,
        act=ACTS[to],
        back=reverse("rma", args=[rma.pk]),
        up=f"Return {rma.number}",
        sent={"to": to, "seen": services.as_seen(rma)},
        is_changed=CHANGED if is_changed else "",
        is_removal=to in (State.CANCELLED, State.DECLINED),
    )


def _meaning(rma: RMA, to: str) -> tuple[list[str], list[str]]:
    """Return what happens by the step, and what cannot be undone."""
    if to == State.IN_TRANSIT:
        return (
            ["The return is marked as on its way to us."],
            ["You cannot cancel the return here while it is on its way; you can again once it has arrived."],
        )
    if to == State.APPROVED:
        return (
            [f"You order the work for {money(rma.quote)}.", "The instrument waits for its place on the bench."],
            [
                "You cannot decline the quote any more.",
                "You can cancel the return until the laboratory begins; after that only we can.",
            ],
        )
    if to == State.DECLINED:
        return (
            ["Nothing is done to the instrument, and we send it back as it came."],
            ["The quote ends. To have the work done after all, open a new return when you have the instrument back."],
        )
    is_here = rma.received_on is not None
    happens = (
        ["Nothing more is done to the instrument, and we send it back to you."]
        if is_here
        else ["The return ends. Please do not send the instrument."]
    )
    lost = ["A cancelled return cannot be taken up again: you would have to open a new one."]
    if rma.quote is not None:
        said = f"The quote of {money(rma.quote)} was accepted: it" if rma.state == State.APPROVED else "The quote"
        lost.append(f"{said} ends, and the work that it is for is not done.")
    return happens, lost
