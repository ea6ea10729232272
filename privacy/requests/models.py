"""Requests, their history, their decisions, and what goes out because of them.

Nothing here names a person in plain text: who asked, their address and the wording of the outcome are in the
sealed envelope `request_file`; the mail in `letter`.
"""

import re
from contextlib import nullcontext
from functools import cache
from typing import Any, ClassVar
from uuid import UUID

from django.db import DatabaseError, models
from django.db.models import Q

from privacy import actor, vault
from privacy.calendar.undated import no_line_without_a_day
from privacy.requests import bound, procedures
from privacy.requests.procedure import Procedure
from privacy.requests.states import (
    BEING_PROVED,
    FOR_OUR_STAFF,
    OPEN_STATES,
    WAITS_FOR_ITS_PERSON,
    WAITS_FOR_SECOND,
    WAITS_FOR_YOU,
    Channel,
    Proof,
    State,
    after,
    stage,
)
from privacy.typed import cards
from privacy.vault.compiled import Change

WORD = re.compile(r"[a-z_]+")


class Request(vault.SealedModel):
    """What one person asks: one of the rights in the table of `procedures`.

    `received_on` is the day any employee received it, by whatever channel; the due dates are recomputed from
    the events by `clock`. `step`, `version`, `attempts` and `next_action_at` belong to the worker.
    """

    vault_label: ClassVar[str] = "privacy.request"

    class AskedBy(models.TextChoices):
        SELF = "self", "the person"
        AGENT = "agent", "somebody with a written authority"

    Identity = Proof

    class Scope(models.TextChoices):
        """What was proved opens it: the whole file of a person, or the records that carry one address and no more."""

        WHOLE = "whole", "everything about the person"
        RECORDS = "records", "the records that carry exactly this address"

    reference = models.CharField(max_length=20, unique=True)
    # What is asked: an entry of the table of rights. A callable, so that a right more is no migration.
    kind = models.CharField(max_length=20, choices=procedures.choices)
    state = models.CharField(max_length=20, choices=State.choices, default=State.RECEIVED)
    parked_from = models.CharField(max_length=20, choices=State.choices, blank=True, default="")
    channel = models.CharField(max_length=20, choices=Channel.choices)
    asked_by = models.CharField(max_length=20, choices=AskedBy.choices, default=AskedBy.SELF)
    identity = models.CharField(max_length=20, choices=Identity.choices, default=Identity.PENDING)
    identity_at = models.DateTimeField(null=True, blank=True)
    # A request about records has a subject of its own, of whom nothing but the request is held:
    # nobody else's file opens by it.
    scope = models.CharField(max_length=10, choices=Scope.choices, default=Scope.WHOLE)
    subject = models.ForeignKey("privacy.Subject", models.SET_NULL, null=True, blank=True, related_name="requests")
    # Whom the sealed file belongs to; stays when the subject is gone, so that the outcome can
    # still be opened with the code.
    owner_id = models.UUIDField(null=True, blank=True, editable=False)
    country = models.CharField(max_length=2, blank=True, default="")
    # The code of a state or province, where one is on file: some laws and holidays are those of a part of the country.
    region = models.CharField(max_length=10, blank=True, default="", db_default="")

    filed_at = models.DateTimeField()
    received_on = models.DateField()
    due_on = models.DateField()
    legal_due_on = models.DateField()
    # The day to answer by had nothing stopped the clock; none where nothing did.
    unpaused_due_on = models.DateField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    plan_hash = models.CharField(max_length=64, blank=True, default="")
    plan_at = models.DateTimeField(null=True, blank=True)
    confirmed_hash = models.CharField(max_length=64, blank=True, default="")
    outcome_code_hash = models.CharField(max_length=300, blank=True, default="")

    # A keyed hash over what decides whose data goes where (privacy.requests.bound); without one nothing is done for it.
    mac = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)

    step = models.CharField(max_length=40, blank=True, default="")
    version = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    tries = models.JSONField(default=dict, blank=True)
    next_action_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=100, blank=True, default="")

    requester_email = vault.EncryptedEmailField(
        envelope="request_file",
        blind=(vault.Exact("request.email", normaliser="email"),),
        verbose_name="address for the answer",
    )
    requester_name = vault.EncryptedTextField(
        envelope="request_file", verbose_name="name given", validators=[cards.refuse]
    )
    # Where a letter came from whose writer was matched with nobody; only what holds nothing is posted there.
    requester_postal = vault.EncryptedTextField(
        envelope="request_file",
        max_length=400,
        multiline=True,
        verbose_name="postal address given",
        validators=[cards.refuse],
    )
    note = vault.EncryptedTextField(
        envelope="request_file",
        max_length=20_000,
        multiline=True,
        verbose_name="notes of the privacy team",
        validators=[cards.refuse],
    )
    outcome = vault.EncryptedJSONField(envelope="request_file", verbose_name="plan and outcome")
    # Of a request about records: those that it covered when it came, and those on which the address was changed since,
    # [label, number] each.
    covered_records = vault.EncryptedJSONField(envelope="request_file", verbose_name="records that it covered")
    # Those that came later with the same address and somebody else's name, about which a second person was asked.
    other_records = vault.EncryptedJSONField(envelope="request_file", verbose_name="records with another name")
    # Of a refusal that a second person has to agree to: the words for the person, and what shows the excess (Art.
    # 12(5)).
    refusal_words = vault.EncryptedTextField(
        envelope="request_file",
        max_length=2000,
        multiline=True,
        verbose_name="reason of a proposed refusal",
        validators=[cards.refuse],
    )
    refusal_evidence = vault.EncryptedTextField(
        envelope="request_file",
        max_length=2000,
        multiline=True,
        verbose_name="evidence for a proposed refusal",
        validators=[cards.refuse],
    )
    changed_records = vault.EncryptedJSONField(envelope="request_file", verbose_name="records with a changed address")
    # What `stands` says beyond the state, where `listing.tell` has read it.
    needs_second: bool = False  # whether a second person has still to decide
    is_in_doubt: bool = False  # whether the row is not what the site wrote

    class Meta(vault.SealedModel.Meta):
        ordering = ["due_on", "reference"]
        constraints = [
            models.UniqueConstraint(
                fields=["subject", "kind"],
                # Those about records are nobody's file: none of them keeps a person's own request out.
                condition=Q(state__in=OPEN_STATES) & Q(subject__isnull=False) & Q(scope="whole"),
                name="one_open_request_per_kind",
            )
        ]
        indexes = [
            models.Index(
                fields=["next_action_at"], condition=Q(next_action_at__isnull=False), name="request_next_action"
            ),
            models.Index(fields=["state", "due_on"], name="request_state_due"),
        ]

    def __str__(self) -> str:
        return self.reference

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, with the keyed hash where something under it is written; a row that did not fit before still does
        not."""
        fields = kwargs.get("update_fields")
        with bound.kept(self) if fields is None or bound.DECIDING & set(fields) else nullcontext():
            change = None if fields is None or self._state.adding else _change(*fields)
            if change is None:
                super().save(*args, **kwargs)
            elif not change.write(self):
                raise DatabaseError("The request is not there any more.")

    def vault_owner(self) -> tuple[str, UUID | None]:
        return ("subject", self.owner_id) if self.owner_id else ("none", None)

    def get_state_display(self) -> str:  # type: ignore[no-redef]  # Django leaves a method of this name alone
        """Return how it stands in words, at the desk and in commands."""
        return self.stands(WAITS_FOR_ITS_PERSON)

    def stands(self, waits: str = WAITS_FOR_YOU) -> str:
        """Return how it stands in words, to its person: whether identity is proved yet, and for whom it waits.

        `waits` says that a plan waits for its person, to who reads it. Of a second person, and of a row that is not
        what the site wrote, it tells where `listing.tell` was asked.
        """
        if self.is_in_doubt:
            return FOR_OUR_STAFF
        if self.state == State.IDENTITY and not self.is_identified:
            return BEING_PROVED
        if self.waits_for_its_person:
            return waits
        if self.is_open and self.state != State.PARKED:
            if not self.procedure.is_known:
                return FOR_OUR_STAFF
            if self.needs_second:
                return WAITS_FOR_SECOND
        return str(dict(State.choices).get(self.state, self.state))

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def is_answered(self) -> bool:
        """True once the answer has gone out; one for a copy stays open until it is fetched or its week is over."""
        return self.state in (State.REPLIED, State.CLOSED) and not self.is_in_doubt

    @property
    def waits_for_its_person(self) -> bool:
        """True while the plan is made and the person has to confirm it."""
        return self.state == State.PLANNED and self.procedure.is_confirmed and not self.is_in_doubt

    @property
    def can_withdraw(self) -> bool:
        """True until the first thing was done for it."""
        return State.WITHDRAWN in self.may_become

    @property
    def may_become(self) -> frozenset[State]:
        """What may follow on its state."""
        return after(self.state, self.parked_from)

    @property
    def stage(self) -> str:
        """How far it is: "", "would", "begun", "done" or "ended" without having been done (`states.stage`)."""
        return stage(self.state, self.parked_from)

    @property
    def is_identified(self) -> bool:
        return self.identity_at is not None

    @property
    def waits_for_proof(self) -> bool:
        """True while nothing is done because it is not shown who asks."""
        return self.state in (State.RECEIVED, State.IDENTITY) and not self.is_identified

    @property
    def is_in_writing(self) -> bool:
        """True when it came by letter or fax: the person signed what they want, and has perhaps nothing to click."""
        return self.channel in (Channel.MAIL, Channel.FAX)

    @property
    def is_about_records(self) -> bool:
        """True when it covers the records with one address only, not a person's whole file (design 9)."""
        return self.scope == self.Scope.RECORDS

    @property
    def procedure(self) -> Procedure:
        """What is asked for, as the table of rights has it; of a kind that it does not know an
        entry by which nothing is done."""
        return procedures.of(self.kind)

    @property
    def title(self) -> str:
        """What is asked for, in lists: an unknown kind by its name, too."""
        known = self.procedure
        if known.is_known:
            return str(known.words.title)
        # Whoever wrote it past the site may have written anything: what is no word is shown as Python spells it.
        return f"{known.words.title} ({self.kind if WORD.fullmatch(self.kind) else ascii(self.kind)})"

    @property
    def heading(self) -> str:
        """What is asked for, as the heading of its page."""
        words = self.procedure.words
        return str(words.heading_of_records if self.is_about_records else words.heading)

    @property
    def asked(self) -> str:
        """What is asked for, as a letter goes on after "You ask us"."""
        words = self.procedure.words
        return str(words.asked_of_records if self.is_about_records else words.asked)

    @property
    def waits_for_person(self) -> bool:
        """True while its step only waits for the person: for a proof of who asks, or for a confirmation."""
        return self.step in procedures.waiting_steps()

    @property
    def steps(self) -> tuple[str, ...]:
        """What is done for it, in order: what would reach the rest of a person is no step of one about records."""
        return self.procedure.order(of_a_person=not self.is_about_records)


@cache
def _change(*names: str) -> Change | None:
    """Return the UPDATE of these columns, None where one of the names is sealed, or without any."""
    # Put together once: each step writes a request three times.
    is_plain = bool(names) and all(set(names).isdisjoint(sealed) for sealed in Request.envelopes().values())
    return Change(Request, *names) if is_plain else None


class RequestEvent(models.Model):
    """One thing that happened to a request: append-only (a trigger refuses UPDATE and DELETE), without values.

    `kind` is a state reached, a step done, or a fact for the clock (`received`, `extended`, `identity_asked` …);
    `on` is the day that counts for the clock, `detail` holds codes, dates and counts only.
    """

    request = models.ForeignKey(Request, models.PROTECT, related_name="events")
    at = models.DateTimeField()
    on = models.DateField()
    kind = models.CharField(max_length=40)
    state = models.CharField(max_length=20, choices=State.choices)
    step = models.CharField(max_length=40, blank=True, default="")
    actor_kind = models.CharField("by", max_length=20, choices=actor.kinds)
    actor_id = models.CharField(max_length=64, blank=True, default="")
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            # A step is done once, however often its task is delivered.
            models.UniqueConstraint(
                fields=["request", "step"], condition=Q(kind="step"), name="request_step_done_once"
            ),
            no_line_without_a_day("request_event", on="on"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"


#: The name of the file of a copy: a random number.
PATH = re.compile(r"^[0-9a-f]{32}\.sealed$")


class Export(models.Model):
    """A sealed copy on disk. The file has a random name, its key stands in the key store under this row's id."""

    id = models.UUIDField(primary_key=True, default=vault.uuid7, editable=False)
    request = models.ForeignKey(Request, models.CASCADE, related_name="exports")
    path = models.CharField(max_length=100, unique=True)
    size = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, default="")
    built_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()
    # A keyed hash over which file is of which request, and its week; without one it is not given out.
    mac = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True)
    downloads = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-expires_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["request"], condition=Q(deleted_at__isnull=True), name="one_copy_per_request"
            ),
            models.CheckConstraint(condition=Q(path__regex=PATH.pattern), name="copy_is_in_its_folder"),
        ]

    def __str__(self) -> str:
        return f"copy {self.id}"


class SecondLook(models.Model):
    """A question to a second person: whether a request is truly the person's, or its refusal is right. Codes,
    times, who decided; no values."""

    class Why(models.TextChoices):
        EVIDENCE = "evidence", "it stands on written evidence"
        ENTRY = "entry", "the address that proved it was entered by staff"
        STATED = "stated", "one member of staff alone has stated who is asking"
        LATE = "late", "it was written down more than three working days after its receipt"
        CONFIRMED = "confirmed", "one member of staff alone has confirmed the plan for the person"
        MOVED = (
            "moved",
            "the address that a link or code went to does not count as the person's any more, or an address or name was changed on a record, or another record with the address names somebody else",
        )
        NOT_ME = "not_me", "the reader of another address of the person says that it was not them"
        DISPUTED = "disputed", "somebody says of a contact of the person that it was not them who entered it"
        JOINED = "joined", "our staff joined two people lately, or somebody objects to what was joined"
        EXCESSIVE = "excessive", "our staff propose to refuse it as manifestly unfounded or excessive"

    class Outcome(models.TextChoices):
        GO_ON = "go_on", "it is the person: the request goes on"
        END = "end", "not shown to be the person: the request ends"
        REFUSE = "refuse", "the excess is shown: the request is refused"
        ANSWER = "answer", "the excess is not shown: the request goes on"

    request = models.ForeignKey(Request, models.CASCADE, related_name="second_looks")
    why = models.CharField(max_length=10, choices=Why.choices)
    asked_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField("decision", max_length=10, choices=Outcome.choices, blank=True, default="")
    decided_kind = models.CharField("decided by", max_length=20, choices=actor.kinds, blank=True, default="")
    decided_by = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        verbose_name = "question to a second person"
        verbose_name_plural = "questions to a second person"
        ordering = ["asked_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["request", "why"], condition=Q(decided_at__isnull=True), name="one_open_second_look"
            )
        ]

    def __str__(self) -> str:
        return f"second person, {self.request.reference}"


class OneTimeLink(models.Model):
    """A secret sent to an address on file: only its hash is kept, it works once, by POST, and not for long.

    `address_hash` tells, to whom has the secret and nobody else, to which address it went; "" when it went by post.
    """

    class Purpose(models.TextChoices):
        IDENTITY = "identity", "prove who is asking"
        RESULT = "result", "see the plan, the outcome or the copy"
        NOT_ME = "not_me", "say that it was not the person"
        POSTED = "posted", "a code sent by post, to be read back"

    token_hash = models.CharField(max_length=64, unique=True)
    address_hash = models.CharField(max_length=64, blank=True, default="", db_default="")
    purpose = models.CharField(max_length=20, choices=Purpose.choices)
    request = models.ForeignKey(Request, models.CASCADE, related_name="links")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    # A keyed hash over what the row says (privacy.vault.macs); without one the link opens nothing.
    mac = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)

    def __str__(self) -> str:
        return f"link for {self.purpose}"
