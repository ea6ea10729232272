"""Card numbers in every writing, and ordinary text in quantity (B2). How each writing is read:
tests/privacy/typed/test_cards.py; files of customers and orders: tests/accounts/test_csvfile.py,
tests/orders/test_imports.py."""

from __future__ import annotations

import random
import uuid

import pytest
from stdnum import iban, luhn

from ilt_site import logs
from privacy import datamap, vault
from privacy.typed import cards
from privacy.vault import SealedModel
from tests.bad_input.forms import Form, Sender
from tests.figures import report, tries
from tests.journeys.doors import House
from tests.journeys.everybody import undone
from tests.privacy.typed.test_cards import SCRIPTS, SEPARATORS, TEST_CARDS

pytestmark = pytest.mark.figure

BETWEEN = [*SEPARATORS, "\t", " / ", "\n", "\r\n", "\u2028", "\u3000", ":", "|"]
AROUND = ["{}", "Please charge {} today.", "card={};exp=12/30", "«{}»", "PAN:{}\n", "<{}>", "x{}y", "№{}"]


def in_groups(number: str, separator: str) -> str:
    sizes = (4, 6, 5) if len(number) == 15 else (4,) * 5
    parts, start = [], 0
    for size in sizes:
        parts.append(number[start : start + size])
        start += size
    return separator.join(part for part in parts if part)


def corpus() -> list[tuple[str, str]]:
    """Return (number, text) for each brand, separator, script and surrounding."""
    found = []
    for number in TEST_CARDS.values():
        scripts = [number, *(number.translate({48 + d: chr(zero + d) for d in range(10)}) for zero in SCRIPTS.values())]
        for digits in scripts:
            for separator in BETWEEN:
                found += [(number, around.format(in_groups(digits, separator))) for around in AROUND]
    return found


def plain_digits(text: str) -> str:
    return "".join(str(int(c)) for c in text if c.isdecimal())


def test_every_card_number_of_the_corpus_is_found_and_none_passes_the_logs() -> None:
    texts = corpus()
    missed = [text for _, text in texts if not any(one.kind == cards.CARD for one in cards.find(text))]
    assert not missed, missed[:10]
    logged = [text for number, text in texts if number in plain_digits(logs.redact(text))]
    assert not logged, logged[:10]
    report("B2", "card numbers recalled", "100 %", n=len(texts), goal="100 %")
    report("R8", "card numbers that passed the logs", 0, n=len(texts), goal="0")


def ordinary(rng: random.Random) -> str:
    """Return a line as people who sell and repair instruments write it."""
    digits = lambda count: "".join(str(rng.randint(0, 9)) for _ in range(count))  # noqa: E731
    year, month, day = rng.randint(2011, 2030), rng.randint(1, 12), rng.randint(1, 28)
    account = digits(18)
    lines = [
        f"Order SO{digits(5)} of {year}-{month:02}-{day:02} 00:00:00, {rng.randint(1, 99)} x {digits(4)}.50",
        f"Call ({rng.randint(200, 999)}) {rng.randint(200, 999)}-{digits(4)} or +44 20 7946 {digits(4)} ext. {digits(3)}",
        f"IBAN {iban.format('DE' + iban.calc_check_digits('DE00' + account) + account)}",
        f"IBAN {'DE' + iban.calc_check_digits('DE00' + account) + account}",
        f"PO 45000{digits(5)}, invoice INV-{year}-{digits(6)}, RMA-{year}-{digits(6)}",
        f"serial ILT{rng.choice((1400, 1700, 2400))}-{digits(5)}, calibrated {day}.{month}.{year} at {digits(3)} nm",
        f"VAT DE{digits(9)}, FR{digits(2)} {digits(3)} {digits(3)} {digits(3)}, EIN {digits(2)}-{digits(7)}",
        f"tracking 1Z{digits(3)}AA1{digits(10)}, freight account {digits(2)}-{digits(4)}-{digits(6)}",
        f"record {uuid.UUID(int=rng.getrandbits(128), version=4)} at {year}-{month:02}-{day:02}T10:{digits(2)}:00.{digits(6)}Z",
        f"as found {rng.random() * 1000:.4f} lx, as left {rng.random() * 1000:.4f} lx, k = 2, {digits(1)}.{digits(6)}e-{digits(1)}",
        f"+33 {rng.randint(1, 9)} " + " ".join(digits(2) for _ in range(4)) + f", 01970-{digits(4)} Salem, MA",
        f"HS 9027.50.{digits(4)}, ECCN EAR99, AES X{year}{month:02}{day:02}{digits(6)}",
    ]
    return rng.choice(lines)


def test_ordinary_lines_are_left_alone() -> None:
    rng, count = random.Random(20261122), tries(5_000, 100_000)
    alarms = [line for line in (ordinary(rng) for _ in range(count)) if cards.find(line, frozenset({cards.CARD}))]
    share = len(alarms) / count
    assert share <= 0.001, alarms[:5]
    report("B2", "false alarms on ordinary lines", f"{share:.3%}", n=count, goal="≤ 0.1 %")


def test_the_generator_of_ordinary_lines_writes_what_a_card_guard_could_mistake() -> None:
    """Else no alarm would prove nothing: some of its lines hold thirteen digits and more in a row of groups."""
    rng = random.Random(1)
    assert sum(len(plain_digits(ordinary(rng))) >= 13 for _ in range(1000)) > 300
    assert luhn.is_valid("4111111111111111")


# In each field of each form ------------------------------------------------------------------------------------------

NUMBER = "4111111111111111"
# Where the number goes to a place that keeps nothing, or is hashed at once.
NOT_KEPT = {"password", "password1", "password2", "oldpassword", "code", "csrfmiddlewaretoken"}


def kept(number: str) -> list[str]:
    """Return where a number stands, in both databases, in any sealed or open column."""
    found = []
    for declaration in datamap.declarations():
        model = declaration.model
        sealed = (
            [name for names in model.envelopes().values() for name in names] if issubclass(model, SealedModel) else []
        )
        plain = [
            one.attname for one in model._meta.concrete_fields if one.get_internal_type() in ("CharField", "TextField")
        ]
        with vault.internal():
            for row in model._default_manager.all():
                found += [
                    f"{declaration.label}.{name}"
                    for name in (*sealed, *plain)
                    if number in plain_digits(str(getattr(row, name)))
                ]
    return found


@pytest.mark.django_db
def test_no_field_of_any_form_keeps_a_card_number(house: House, every_form: list[Form]) -> None:
    wrong, found, asked = [], 0, 0
    assert kept(NUMBER) == []
    with Sender(house) as sender:
        for form in every_form:
            for name in sorted(set(form.free) - NOT_KEPT):
                found += 1
                if found % tries(3, 1):
                    continue
                asked += 1
                with undone():
                    answer = sender.post(form, {name: "4111 1111-1111\u00a01111"})
                    if answer.status_code != 200 and (places := kept(NUMBER)):
                        wrong.append(f"{form}, {name}: {places}")
    assert not sender.failed and not wrong, "\n".join([*sender.failed, *wrong])
    assert found > 150
    report("R8", "fields that keep a card number", 0, n=asked, goal="0")
