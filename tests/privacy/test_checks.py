"""A model that is not declared, or not sealed, stops `manage.py` itself."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from accounts.models import Communication, Customer, Session
from privacy import checks, datamap
from privacy.datamap import Datum, Declaration
from privacy.gate import matrix
from privacy.requests import procedures
from privacy.requests.models import Request

ROOT = Path(__file__).resolve().parents[2]
PLAIN = """
    from django.db import models

    class {name}(models.Model):
        nickname = models.CharField(max_length=50)

        class Meta:
            app_label = "guestbook"
"""
SEALED = """
    from privacy.vault import EncryptedTextField, SealedModel

    class {name}(SealedModel):
        vault_label = "guestbook.visitor"
        nickname = EncryptedTextField(envelope="guest")

        class Meta(SealedModel.Meta):
            abstract = False
            app_label = "guestbook"
"""
DATA = """
    from privacy import datamap
    from privacy.datamap import Datum, Declaration
    from guestbook.models import {name}

    datamap.register(Declaration(model={name}, title="{name}", {rest}))
"""
NICKNAME = 'data={"nickname": Datum("Nickname", "name", ("fun",), "the person")}'


def run_check(folder, models, personal_data=""):
    """Run `manage.py check` on the project with one more app, and return (exit code, output)."""
    app = folder / "guestbook"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "models.py").write_text(dedent(models))
    if personal_data:
        (app / "personal_data.py").write_text(dedent(personal_data))
    (folder / "settings_with_guestbook.py").write_text(
        "from ilt_site.settings import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'guestbook']\n"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings_with_guestbook", "PYTHONPATH": f"{folder}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout + done.stderr


def test_what_is_not_declared_or_not_sealed_stops_the_program_and_each_is_told(tmp_path):
    """Four models, each wrong in one way: one start tells of them all."""
    plain = "".join(dedent(PLAIN).format(name=name) for name in ("Undeclared", "Half", "Bare"))
    data = dedent(DATA).format(name="Half", rest="")
    data += dedent(DATA).format(name="Bare", rest=NICKNAME)
    data += dedent(DATA).format(name="Unread", rest=NICKNAME)
    code, said = run_check(tmp_path, plain + dedent(SEALED).format(name="Unread"), data)

    assert code == 1
    errors = said.partition("ERRORS:")[2].partition("WARNINGS:")[0]  # each of which stops it by itself
    for told in (
        "(privacy.E001) guestbook.Undeclared is not in the data map",
        "(privacy.E002) guestbook.Half.nickname is not in the data map",
        "(privacy.E004) guestbook.Bare.nickname is personal and not sealed",
        "(privacy.E009) No role may read guestbook.visitor/guest",
    ):
        assert told in errors
    assert [("'guest'" in line) for line in errors.splitlines() if "privacy.E007" in line] == [True], (
        "no retention class"
    )


def test_a_declared_app_is_accepted(tmp_path):
    rest = NICKNAME.replace('"the person"', '"the person", plain="chosen to be public"')
    code, said = run_check(tmp_path, PLAIN.format(name="Visitor"), DATA.format(name="Visitor", rest=rest))

    assert (code, "privacy.E" in said) == (0, False), said


def test_the_project_passes_its_own_checks():
    assert [str(found) for found in run_checks(tags=["privacy"])] == []


def codes(declaration):
    return {found.id for check in checks._OF_A_DECLARATION for found in check(declaration)}


def words(declaration):
    return {found.msg for check in checks._OF_A_DECLARATION for found in check(declaration)}


def declared_as(model, **changes):
    whole = datamap.for_model(model)
    kept = {name: getattr(whole, name) for name in Declaration.__dataclass_fields__}
    return Declaration(**{**kept, **changes})


def test_a_true_declaration_is_accepted():
    assert codes(declared_as(Customer)) == set()
    assert codes(declared_as(Session)) == set()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"impersonal": {"shoe_size": "a number"}}, "privacy.E003"),
        ({"data": {"shoe_size": Datum("Shoe size", "text", ("orders",), "the person")}}, "privacy.E003"),
        ({"data": {}}, "privacy.E002"),
        ({"subject_path": "customer__subject"}, "privacy.E005"),
        ({"related": ("nobody",)}, "privacy.E005"),
        ({"links": ("reference",)}, "privacy.E005"),
        ({"reference": "nobody"}, "privacy.E005"),
        ({"follows": "reference"}, "privacy.E005"),
        ({"facts": None}, "privacy.E006"),
        ({"impersonal": {"email": "sealed"}}, "privacy.E004"),
        ({"impersonal": {"reference": " "}}, "privacy.E004"),
        ({"life": None}, "privacy.E013"),
        ({"inside": "user"}, "privacy.E013"),
        ({"inside": "reference"}, "privacy.E013"),
    ],
)
def test_a_declaration_that_is_not_true_is_an_error(changes, code):
    assert code in codes(declared_as(Customer, **changes))


@pytest.mark.parametrize(
    "datum",
    [
        Datum("Number", "identifier", ("orders",), "us"),
        Datum("Number", "identifier", (), "us", plain="a number"),
        Datum("Number", "identifier", ("orders",), "us", plain="a number", envelope="payment"),
    ],
)
def test_a_plain_datum_says_why_what_for_and_how_it_ends(datum):
    data = {**datamap.for_model(Customer).data, "reference": datum}

    assert "privacy.E004" in codes(declared_as(Customer, data=data))


def test_a_table_of_values_that_nothing_says_in_words_is_an_error():
    data = {**datamap.for_model(Request).data, "outcome": Datum("Plan and outcome", "text", ("requests",), "us")}

    assert "privacy.E013" in codes(declared_as(Request, data=data))
    assert "privacy.E013" not in codes(declared_as(Request))


def test_a_declaration_that_contradicts_itself_is_an_error_in_words():
    whole = datamap.for_model(Customer)
    phone = replace(whole.data["phone"], title=whole.data["email"].title, plain="it is printed on invoices")
    said = words(
        declared_as(
            Customer,
            data={**whole.data, "phone": phone},
            impersonal={**whole.impersonal, "phone": "a number", "subject": "a link"},
        )
    )

    assert {
        "accounts.Customer.phone is declared both personal and impersonal.",
        "accounts.Customer.phone is sealed; `plain` does not apply.",
        "accounts.Customer.phone is sealed but declared impersonal.",
        "accounts.Customer.subject is shown to its person without a title.",
        f"accounts.Customer: two fields have the title {phone.title!r}.",
    } <= said

    whole = datamap.for_model(Communication)
    half = replace(whole.data["direction"], says={"in": "from you"})
    said = words(declared_as(Communication, data={**whole.data, "direction": half}))

    assert said == {"accounts.Communication.direction: `says` has not the codes of its choices."}


def test_a_right_whose_law_or_waiting_leads_nowhere_is_an_error(page, monkeypatch):
    access = procedures.get("access")
    changed = replace(access, laws=frozenset({"no_such_law"}), waits_for=("no_such_right",))
    monkeypatch.setitem(procedures.TABLE, "access", changed)

    said = {
        "The right 'access': regimes.toml has no law 'no_such_law'.",
        "The right 'access': it waits for 'no_such_right', which is no right.",
    }
    assert {one.msg for one in checks.check_rights()} == said
    matrix.forget()
    with page("[staff\n"):  # said by another check
        assert {one.msg for one in checks.check_rights()} == said


def test_what_keeps_a_restricted_record_opens_to_roles_that_exist(page):
    assert checks.check_restricted() == []
    matrix.forget()
    with page('[staff]\nsales = ["*/*:r"]\n\n[restricted]\nalways = ["nobody"]\n'):
        said = {(one.id, one.msg) for one in checks.check_restricted()}
    matrix.forget()
    with page("[staff\n"):  # said by another check
        assert checks.check_restricted() == []

    assert said >= {
        ("privacy.E011", "The access matrix does not say to whom a record opens that 'hold' keeps."),
        ("privacy.E011", "The access matrix knows no 'nobody'."),
    }


@pytest.fixture
def page(tmp_path):
    def written(text):
        path = tmp_path / "access.toml"
        path.write_text(text)
        return override_settings(ACCESS_MATRIX=str(path))

    matrix.forget()
    yield written
    matrix.forget()


def test_an_envelope_that_no_role_may_read_is_an_error(page):
    with page('[staff]\nsales = ["accounts.customer/account:rw"]\n'):
        found = checks.check_access_matrix()

    said = {(one.id, one.msg) for one in found}
    assert ("privacy.E009", "No role may read orders.payment/payment: name it in the access matrix.") in said
    assert not any("accounts.customer/account" in message for _, message in said)


def test_a_line_of_the_matrix_that_names_nothing_is_an_error(page):
    with page('[staff]\nsales = ["*/*:r", "accounts.customer/acount:r", "orders.*/ssn:r"]\n'):
        wrong = [one.msg for one in checks.check_access_matrix() if one.id == "privacy.E008"]

    assert wrong == [
        "The access matrix gives 'sales' 'accounts.customer/acount', which no sealed model has.",
        "The access matrix gives 'sales' 'orders.*/ssn', which no sealed model has.",
    ]


def test_a_matrix_that_cannot_be_read_is_an_error(page):
    with page("[staff\n"):
        assert [one.id for one in checks.check_access_matrix()] == ["privacy.E008"]
