"""The commands: exact words, shapes that their schemas describe, exit codes, and no personal data on the way."""

from __future__ import annotations

import io
import json
import re
import resource
import stat
import sys
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from django.core.management import CommandError, call_command, load_command_class
from django.db import models
from django.utils import timezone

from orders.models import Order
from privacy import audit, datamap, vault
from privacy.gate import Actor
from privacy.requests import execute, export, history, second, waits
from privacy.requests.models import Export, Request
from privacy.retention import holds
from tests import factories
from tests.asked import OPERATOR, TODAY, with_letters
from tests.factories import an_order
from tests.journeys.everybody import undone

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"


def command(name: str, *words: Any) -> Any:
    """Run a command and return its JSON, checked against its schema."""
    out = io.StringIO()
    call_command(name, *map(str, words), "--json", stdout=out)
    found = json.loads(out.getvalue())
    schema = json.loads((SCHEMAS / f"{'request_show' if name == 'request_run' else name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(found, schema, format_checker=jsonschema.FormatChecker())
    return found


def code(name: str, *words: Any) -> int:
    with pytest.raises((CommandError, SystemExit)) as ended:
        call_command(name, *map(str, words), stdout=io.StringIO(), stderr=io.StringIO())
    return ended.value.returncode if isinstance(ended.value, CommandError) else int(ended.value.code or 0)


def told(*words: Any) -> str:
    with pytest.raises(CommandError) as ended:
        call_command(*map(str, words), stdout=io.StringIO())
    return str(ended.value)


def printed(*words: Any) -> str:
    out = io.StringIO()
    call_command(*map(str, words), stdout=out, stderr=out)
    return out.getvalue()


def usage(name: str, *words: str) -> int:
    """Return the exit code for words that are no proper use of the command, as a shell sees it."""
    parser = load_command_class("privacy", name)
    parser._called_from_command_line = True
    with pytest.raises(SystemExit) as ended:
        parser.create_parser("manage.py", name).parse_args(list(words))
    return int(ended.value.code or 0)


def filing(customer: Any, kind: str, identity: str = "callback", **more: Any) -> Any:
    words = {"received-on": timezone.localdate(), "channel": "phone", "asked-by": "self", "identity": identity} | more
    return command(
        "request_file",
        "--kind",
        kind,
        "--customer",
        customer.reference,
        *(w for k, v in words.items() for w in (f"--{k}", v)),
    )


@pytest.fixture
def records(alice: Any, old_order: Any, kept_order: Any) -> Any:
    return alice


def test_an_erasure_from_the_phone_to_the_end(records, old_order, kept_order) -> None:
    filed = filing(records, "erasure")
    assert (filed["state"], filed["identity"], filed["channel"]) == ("identity", "callback", "phone")
    plan = command("request_plan", filed["reference"])
    done = command("request_run", filed["reference"], "--plan", plan["plan_hash"])
    shown = command("request_show", filed["reference"])
    assert done["state"] == shown["state"] == "closed"
    fates = {(d["record"], x["envelope"]): x for d in shown["decisions"] for x in d["data"]}
    kept = fates[str(kept_order.pk), "order"]
    assert (kept["action"], kept["code"], kept["until"]) == ("keep", "KEEP_LI", "2031-12-31")
    assert (str(old_order.pk), "order") not in fates, "what stays for statistics is not found from here"
    assert all(step["done_at"] for step in shown["steps"])
    for value in ("alice", "archer", "quince"):
        assert value not in json.dumps([filed, plan, shown]).lower()


def test_a_copy_for_somebody_without_a_portal(records, tmp_path) -> None:
    reference = filing(records, "access")["reference"]
    out = tmp_path / "copy.zip"
    assert code("request_export", reference, "--out", out) == 3
    assert not out.exists()
    assert command("request_run", reference, "--yes")["state"] == "replied"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (1_000, Export.objects.get().size - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))  # ends as a full disk does
        try:
            said = told("request_export", reference, "--out", out)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert "not be written, to its end: File too large. Nothing of it was left." in said and not out.exists()
        assert Export.objects.get().downloads == 0, "nobody has it"
    written = command("request_export", reference, "--out", out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600 and out.stat().st_size == written["bytes"]
    assert "Quince Row" in zipfile.ZipFile(out).read("index.html").decode()
    assert code("request_export", reference, "--out", out) == 3, "never overwrites"
    assert audit.history(reference=reference).filter(action="copy.fetched").count() == 1
    assert code("request_export", reference, "--out", tmp_path / "no" / "such" / "folder.zip") == 1
    assert Export.objects.get().downloads == 1
    assert printed("request_export", reference, "--out", tmp_path / "again.zip") == (
        f"{reference}: {written['bytes']} bytes written.\n"
    )
    with (export.folder() / Export.objects.get().path).open("r+b") as sealed:
        sealed.truncate(1_000)
    gone = tmp_path / "damaged.zip"
    assert "its file is damaged" in told("request_export", reference, "--out", gone) and not gone.exists()


def test_an_address_is_read_from_standard_input_only(records, monkeypatch) -> None:
    assert usage("request_file", "--kind", "access", "--email", "alice@example.com", "--channel", "email") == 2
    monkeypatch.setattr(sys, "stdin", io.StringIO("alice@example.com\n"))
    found = command("request_file", "--kind", "access", "--email", "-", "--channel", "email")
    assert (found["state"], found["identity"]) == ("received", "pending")
    assert Request.objects.get().subject_id == records.subject_id


@pytest.mark.parametrize(
    ("typed", "ends", "said"),
    [
        ("", 1, "No address came from standard input."),
        ("\n", 1, "No address came from standard input."),
        ("nonsense\n", 2, "That is not an e-mail address."),
        ("a@b.example\x00\n", 2, "That is not an e-mail address."),
        ("\udcff\udcfe@b.example\n", 2, "That is not an e-mail address."),
        ("a" * 300_000 + "@b.example\n", 2, "That is not an e-mail address."),
    ],
)
def test_an_address_that_is_none_is_a_wrong_argument_in_one_sentence(db, monkeypatch, typed, ends, said) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    with pytest.raises(CommandError) as refused:
        command("request_file", "--kind", "access", "--email", "-", "--channel", "email")
    assert (refused.value.returncode, str(refused.value)) == (ends, said)
    assert not Request.objects.exists()


def test_usage_bad_data_and_refusals_have_their_codes(records) -> None:
    assert usage("request_file", "--kind", "access") == 2
    assert usage("request_file", "--kind", "party", "--customer", "x", "--channel", "phone") == 2
    assert (
        usage("request_file", "--kind", "access", "--customer", "x", "--channel", "phone", "--received-on", "yesterday")
        == 2
    )
    assert usage("request_run", "PR-2026-AAAA-AA") == 2
    assert usage("request_export", "PR-2026-AAAA-AA") == 2
    assert code("request_file", "--kind", "access", "--customer", "NO-SUCH", "--channel", "phone") == 1
    nobody = an_order(factories.customer("Guest", "Green"), TODAY)
    models.QuerySet(Order).filter(pk=nobody.pk).update(customer=None)
    asked = ("request_file", "--kind", "access", "--channel", "phone", "--customer")
    assert told(*asked, nobody.number) == "This record is somebody else's than its row says: tell who runs the site."
    vault.keys.destroy([(nobody.pk, one) for one in ("order", "fulfilment", "payment")], now=timezone.now())
    assert told(*asked, nobody.number) == "This record leads to nobody."
    assert not Request.objects.exists()
    ahead = ("--received-on", "2999-01-01")
    assert code("request_file", "--kind", "access", "--customer", records.reference, "--channel", "phone", *ahead) == 1
    for name, *words in (
        ("request_plan",),
        ("request_show",),
        ("request_run", "--yes"),
        ("request_export", "--out", "/tmp/none.zip"),
    ):
        assert code(name, "PR-2026-AAAA-AA", *words) == 1
    pending = filing(records, "erasure", "pending")["reference"]
    assert code("request_plan", pending) == 3
    assert code("request_run", pending, "--yes") == 3


def test_what_is_no_text_is_bad_data_too(records) -> None:
    """Bytes that are no UTF-8 reach a command as lone surrogates, which no database takes."""
    reference = filing(records, "erasure")["reference"]
    for name, *words in (
        ("request_show", "\udcff"),
        ("request_file", "--kind", "access", "--channel", "phone", "--customer", "x\udcff"),
        ("hold", "x\udcff", "--reason", "claim"),
        ("hold", records.reference, "--reason", "claim", "--case", "x\udcff"),
    ):
        assert code(name, *words) == 1, name
    assert code("hold", records.reference, "--lift", "--case", "x\udcff") == 3
    assert code("request_run", reference, "--plan", "x\udcff") == 3


def test_nothing_is_left_to_run_of_a_request_that_ended(records) -> None:
    reference = filing(records, "erasure")["reference"]
    assert command("request_run", reference, "--yes")["state"] == "closed"
    assert code("request_run", reference, "--yes") == 3


@pytest.mark.parametrize("started", [False, True])
def test_a_copy_is_made_by_run_whether_or_not_a_worker_has_begun(records, started) -> None:
    request = Request.objects.get(reference=filing(records, "access")["reference"])
    if started:
        assert execute.advance(request.pk, now=timezone.now()) == "ended", "planned and confirmed; the copy comes next"
    assert command("request_run", request.reference, "--yes")["steps"][1]["done_at"]
    assert export.live(request) is not None


def test_help_says_what_each_command_changes() -> None:
    for name in ("request_plan", "request_show", "retention_sweep"):
        assert "change" in load_command_class("privacy", name).help.lower(), name
    for name in ("request_run", "retention_sweep"):
        assert "for good" in load_command_class("privacy", name).help, name


def test_a_plan_that_has_changed_since_it_was_confirmed_is_confirmed_again(records) -> None:
    reference = filing(records, "erasure")["reference"]
    command("request_run", reference, "--yes", "--queue")
    holds.place("accounts.customer", records.pk, reason="claim", actor=OPERATOR, now=timezone.now())
    assert told("request_run", reference, "--yes") == ("The plan has changed meanwhile; look at it and confirm again.")
    assert "kept until what holds it has ended (" in printed("request_plan", reference)
    assert "until what holds it has ended" in printed("request_show", reference)


def test_a_step_that_fails_says_whether_it_is_tried_again(records) -> None:
    reference = filing(records, "erasure")["reference"]
    command("request_run", reference, "--yes", "--queue")
    Request.objects.filter(reference=reference).update(mac="")  # past the site
    failed = f"The step {Request.objects.get().step} failed (NotOurs); "
    assert told("request_run", reference, "--yes") == f"{failed}it is tried again."
    assert "Last failure: NotOurs." in printed("request_show", reference)
    Request.objects.filter(reference=reference).update(attempts=9, next_action_at=timezone.now())
    assert told("request_run", reference, "--yes").startswith(f"{failed}it is not tried again before ")
    assert Request.objects.get().state == "parked"


def test_another_hash_is_refused(records) -> None:
    reference = filing(records, "erasure")["reference"]
    plan = command("request_plan", reference)
    assert code("request_run", reference, "--plan", "0" * 64) == 3
    an_order(records, date(2026, 11, 19))
    assert code("request_run", reference, "--plan", plan["plan_hash"]) == 3
    assert command("request_show", reference)["state"] == "planned"


def test_an_erasure_that_waits_says_so(records) -> None:
    access = filing(records, "access")["reference"]
    erasure = filing(records, "erasure")["reference"]
    assert code("request_run", erasure, "--yes") == 3
    assert command("request_show", erasure)["state"] == "confirmed"
    assert command("request_show", access)["state"] == "identity"


def test_what_an_erasure_waits_for_is_said_as_it_is(records) -> None:
    asked = filing(records, "erasure", "staff")["reference"]
    assert "waits for a second person (request_second)" in told("request_run", asked, "--yes")
    request = Request.objects.get(reference=asked)
    second.decide(
        request, "go_on", actor=Actor("staff", "mia", None, frozenset({"manager"}), "admin"), now=timezone.now()
    )
    with undone():
        history.event(request, waits.TOLD, actor=OPERATOR, now=timezone.now(), detail={"count": 1})
        assert "other addresses have until" in told("request_run", asked, "--yes")
    filing(records, "access")
    assert "open request for a copy" in told("request_run", asked, "--yes")


def test_running_twice_is_once(records, outbox) -> None:
    reference = filing(records, "erasure")["reference"]
    command("request_run", reference, "--yes")
    assert code("request_run", reference, "--yes") == 3
    with_letters(timezone.now())
    assert len([m for m in outbox if "removed" in m.subject]) == 1


def test_a_request_is_shown_in_words_and_its_codes_are_left_to_programs(records, old_order, kept_order) -> None:
    reference = filing(records, "erasure")["reference"]
    said = io.StringIO()
    call_command("request_show", reference, stdout=said)
    first, received, answer, who, *_ = said.getvalue().splitlines()
    assert first == f"{reference}: removal of the data, identity proved."
    assert received.startswith("Received on ") and received.endswith(" by phone, from the person.")
    assert answer.startswith("Answer by ") and ", at the latest " in answer
    assert who == "Who is asking: called back on a number on file for 14 days, two facts confirmed."
    command("request_run", reference, "--yes")
    said = io.StringIO()
    call_command("request_show", reference, stdout=said)
    text = said.getvalue()
    assert re.search(r"^Ended on \d+ \w+ \d{4}\.$", text, re.MULTILINE) and "Answer by" not in text
    assert "; tried " not in text, "batches of a step that is done are no failure"
    assert f"  Order {kept_order.number}: " in text and ": kept until 31 December 2031 (" in text
    assert "  Keys destroyed and data removed: done on " in text
    for code_or_number in ("KEEP_LI", "ERASE", "orders.order", str(kept_order.pk), "ship_name", "exports_destroyed"):
        assert code_or_number not in text
    for value in ("alice", "archer", "quince"):
        assert value not in text.lower()


def test_queueing_leaves_it_to_the_workers(records) -> None:
    reference = filing(records, "erasure")["reference"]
    assert command("request_run", reference, "--yes", "--queue")["state"] == "confirmed"


def test_for_people_they_print_sentences(records) -> None:
    reference = filing(records, "erasure")["reference"]
    for words in (("request_plan", reference), ("request_run", reference, "--yes"), ("request_show", reference)):
        out = io.StringIO()
        call_command(*words, stdout=out)
        assert out.getvalue().strip() and "alice" not in out.getvalue().lower()


def test_the_shapes_of_the_other_commands_are_published_too(records) -> None:
    schema = json.loads((SCHEMAS / "data_map.json").read_text())
    jsonschema.validate(datamap.as_json(), schema)
    assert command("hold", records.reference, "--reason", "claim")["holds"]
    swept = command("retention_sweep", "--on", "2032-01-01", "--dry-run")
    assert swept["due"] > 0 and swept["erased"] == 0
    assert printed("retention_sweep", "--on", "2032-01-01", "--dry-run").endswith(
        "Nothing was erased: this was a dry run.\n"
    )


def test_letters_are_printed_in_a_demo_only(records, settings) -> None:
    reference = filing(records, "erasure")["reference"]
    out = io.StringIO()
    settings.DEMO = True
    call_command("outbox", stdout=out)
    assert reference in out.getvalue() and "outcome code" in out.getvalue()
    settings.DEMO = False
    assert code("outbox") == 3


def test_every_schema_is_valid() -> None:
    for path in SCHEMAS.glob("*.json"):
        jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))


def test_arming_and_disarming_the_sweep_print_what_their_schema_says(db: None) -> None:
    assert command("retention_arm")["armed"] is True
    assert command("retention_arm", "--off") == {"armed": False, "armed_at": None, "cap": 20}
    assert printed("retention_arm").startswith("Armed. At most 20 people a night")
    assert printed("retention_arm", "--off") == "Not armed: the sweep only counts.\n"
