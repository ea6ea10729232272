"""The schedule: complete, and a mistake in it is one clear sentence."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.calendar.periods import Period
from privacy.facts import EVENTS, FLAGS, Facts
from privacy.retention import rules

TEXT = rules.HERE.read_text(encoding="utf-8")
ENVELOPES = [
    "account", "company", "order", "fulfilment", "tax_identifier", "ssn", "freight_account", "payment", "rma",
    "rma_note", "support", "request_file", "letter", "export", "pseudonym",
]  # fmt: skip
STORES = [
    "web_access_log", "security_log", "audit", "access_log", "tombstone", "block_token", "session", "acknowledgement",
    "breach", "hold", "backup", "interest", "marketing_consent", "consent_proof", "suppression", "cookie_choice",
    "policy_acceptance", "certificate", "product_registration",
]  # fmt: skip


@pytest.mark.parametrize("name", [*ENVELOPES, *STORES])
def test_everything_the_law_names_has_a_class(name: str) -> None:
    rule = rules.load(rules.HERE, overlays=())[name]
    assert rule.reasons
    assert rule.is_store == (name in STORES)


@pytest.mark.parametrize(
    ("name", "reason", "period"),
    [
        ("account", "active account", Period(36, "m")),
        ("order", "tax, export and claims", Period(7, "y", year_end=True)),
        ("ssn", "exemption certificate", Period(4, "y", year_end=True)),
        ("freight_account", "next shipment", Period(24, "m")),
        ("payment", "chargeback window", Period(18, "m")),
        ("rma", "claims and export", Period(7, "y", year_end=True)),
        ("support", "customer", Period(3, "y")),
        ("support", "no customer", Period(24, "m")),
        ("request_file", "proof", Period(3, "y", year_end=True)),
        ("export", "waiting for you", Period(7, "d")),
        ("web_access_log", "security", Period(90, "d")),
        ("access_log", "accountability", Period(3, "y")),
        ("backup", "restore", Period(35, "d")),
        ("certificate", "traceability", Period(10, "y")),
    ],
)
def test_the_periods_are_those_of_the_law(name: str, reason: str, period: Period) -> None:
    found = {one.name: one.period for one in rules.load(rules.HERE, overlays=())[name].reasons}
    assert found[reason] == period


def test_no_reason_without_an_open_matter_says_that_one_is_open() -> None:
    """A reason that gives way to a request, or lasts for a period, is no ground against erasure (Art. 17(1))."""
    schedule = rules.load(rules.HERE, overlays=("DE8", "OSS10", "OFAC10"))
    found = [(name, one) for name in schedule.classes for one in schedule.reasons(name)]
    for name, reason in found:
        texts = " ".join(reason.authority.texts.values())
        if not (reason.is_open_ended and any(flag.startswith(("open_", "unpaid")) for flag in reason.when)):
            assert "while the matter is open" not in texts, f"{name}, {reason.name}"
        if reason.on_request != "KEEP":
            assert "no ground for erasure" not in texts, f"{name}, {reason.name}"
    assert sum("while the matter is open" in one.authority.texts["US"] for _, one in found) > 5


def test_us_law_is_never_called_a_legal_obligation_to_a_person_in_europe() -> None:
    for rule in rules.load(rules.HERE, overlays=("DE8", "OSS10", "OFAC10")).classes.values():
        for reason in rule.reasons:
            for place, text in reason.authority.texts.items():
                if "17(3)(b)" in text:
                    assert place in reason.authority.law_of
    assert "17(3)(b)" not in "".join(rules.load(rules.HERE, overlays=())["order"].reasons[1].authority.texts.values())


def test_every_reason_has_a_sentence_for_the_person() -> None:
    for rule in rules.load(rules.HERE, overlays=()).classes.values():
        for reason in rule.reasons:
            assert reason.plain.endswith(".")
            assert not reason.is_open_ended or reason.when


def _changed(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (_changed('code = "KEEP_CONTRACT"', 'code = "KEEP"'), "account, reason 'open matter': code 'KEEP' is none of"),
        (_changed('period = "36m"', 'period = "3 years"'), "'3 years' is no period: write a number and y, m or d"),
        (_changed('on_request = "ERASE"', 'on_requst = "ERASE"'), "has an unknown key 'on_requst'"),
        (_changed('when = ["open_order"', 'when = ["opn_order"'), "when knows no 'opn_order'"),
        (_changed('start = ["last_activity", "opened"]', 'start = ["last_login"]'), "start knows no 'last_login'"),
        (_changed('start = ["last_activity", "opened"]', "start = []"), "has no start event"),
        (_changed('start = ["last_activity", "opened"]', 'start = "last_activity"'), "start is a list"),
        (_changed('basis = "6(1)(b)"', 'basis = "6(1)(d)"'), "basis '6(1)(d)' is none of"),
        (_changed('authority = "contract"', 'authority = "contrct"'), "authority 'contrct' is none of"),
        (_changed('overlay = "DE8"', 'overlay = "DE9"'), "overlay 'DE9' is none of"),
        (_changed('latest = "7y"\n', ""), "needs either a period or, when it lasts as long as a flag, latest"),
        (_changed('when = ["open_order", "unpaid", "open_rma"]\n', ""), "it would never end"),
        (_changed('title = "Account, profile and addresses"\n', ""), "Class account lacks 'title'"),
        (_changed('title = "Account, profile and addresses"', 'title = " "'), "title is a text and not empty"),
        (_changed('period = "36m"', 'period = "36m"\nalone = "x"'), "has a period, so nothing is told about when it is finished"),
        (_changed("warn_days = 30", "warn_days = -1"), "warn_days is a number of days"),
        (_changed("store = true\nend", 'store = "yes"\nend'), "store is true or false"),
        (_changed("year_end = true\nplain", 'year_end = "yes"\nplain'), "year_end is true or false"),
        (_changed('countries = ["EU-VAT"]', 'countries = ["Germany"]'), "countries is a list of two-letter codes"),
        (_changed('name = "works here"', 'name = "open matter"'), "has the reason 'open matter' twice"),
        (_changed('lawyer_confirmed_by = ""', 'lawyer_confirmed_by = "N.N."'), "go together"),
        (
            TEXT.replace('_by = ""', '_by = "N.N."').replace('_on = ""', '_on = "May"'),
            "lawyer_confirmed_on is no date",
        ),
        (
            _changed('US = "Our privacy policy: in part legally required', 'US = "17(3)(b)').replace('law_of = ["US"]', "law_of = []", 1),
            "Art. 17(3)(b) must not be told to a person in US",
        ),
        (_changed('EU = "Art. 6(1)(f) GDPR: legitimate', f'EU = "{"x" * 300}'), "longer than 300 characters"),
        (_changed('[authorities.DE8]\nlaw_of = ["EU"]', "[authorities.DE8]\nlaw_of = []"), "17(3)(b) must not be told"),
        (_changed('code = "KEEP_LI"', 'code = "KEEP_LAW"'), "KEEP_LAW needs a law of the EU or the UK"),
        (_changed("format = 1", "format = 2"), "has format 2"),
        (_changed("format = 1", "format = "), "is not valid TOML"),
        (_changed("format = 1\n", ""), "The schedule lacks 'format'"),
        (TEXT + "\n[classes.empty]\ntitle='x'\nholds='x'\nend_action='x'\nreasons=[]\n", "Class empty has no reason"),
        (TEXT + "\n[classes.account]\n", "is not valid TOML"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_that_names_the_place(text: str, sentence: str) -> None:
    with pytest.raises(rules.ScheduleError) as error:
        rules.parse(text)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value).split("(at line")[0]


def test_what_is_no_table_is_said_to_be_none() -> None:
    with pytest.raises(rules.ScheduleError, match="Class account is not a table"):
        rules.parse('format = 1\n[authorities]\n[classes]\naccount = "36m"\n')


def test_an_overlay_that_does_not_exist_is_refused() -> None:
    with pytest.raises(rules.ScheduleError, match="knows no overlay FR10"):
        rules.load(rules.HERE, overlays=["FR10"])


def test_a_missing_class_is_refused_not_guessed() -> None:
    with pytest.raises(rules.ScheduleError, match="no class 'diary'"):
        rules.load(rules.HERE, overlays=())["diary"]


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(rules.ScheduleError, match=r"schedule missing\.toml cannot be read"):
        rules.load(tmp_path / "missing.toml", overlays=())
    (tmp_path / "latin.toml").write_bytes(b"# \xff")
    with pytest.raises(rules.ScheduleError, match="cannot be read"):
        rules.load(tmp_path / "latin.toml", overlays=())


def test_the_cutoff_is_the_last_day_that_can_be_due() -> None:
    schedule = rules.load(rules.HERE, overlays=())
    assert schedule.cutoff("account", date(2026, 11, 22)) == date(2023, 11, 21)
    assert schedule.cutoff("rma", date(2026, 12, 31)) == date(2025, 12, 30), "one with which nothing came"
    assert schedule.cutoff("support", date(2026, 12, 31)) == date(2024, 12, 30), "of those that some have the shortest"


@given(st.data())
def test_a_fact_that_nobody_knows_is_refused(data: st.DataObject) -> None:
    word = data.draw(st.text(max_size=12).filter(lambda text: text not in EVENTS and text not in FLAGS))
    uuid = data.draw(st.uuids())
    with pytest.raises(ValueError, match="no such event or flag"):
        Facts("x.y", uuid, "X", None, {}, {word: None})
    with pytest.raises(ValueError, match="no such event or flag"):
        Facts("x.y", uuid, "X", None, {}, {}, frozenset({word}))
