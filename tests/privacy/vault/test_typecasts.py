"""What the driver makes of bytes and ids, and rows that are made without Django's constructor."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db import connection, models
from django.db.models.signals import post_init

from privacy.vault.sealed import SealedModel, attnames
from tests.privacy.vault.models import Person, Shop

pytestmark = pytest.mark.django_db

NUMBER = UUID("0190a0b0-1111-7222-8333-444455556666")


@pytest.mark.parametrize("output", ["hex", "escape"])
def test_bytes_are_read_as_bytes_in_either_form_of_the_server(output: str) -> None:
    raw = bytes(range(256))
    with connection.cursor() as cursor:
        cursor.execute(f"SET bytea_output = {output}")
        cursor.execute("SELECT %s::bytea, ''::bytea, NULL::bytea", [raw])
        assert cursor.fetchone() == (raw, b"", None)
        cursor.execute("RESET bytea_output")


def test_ids_are_read_as_uuids_alone_and_in_arrays() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::uuid, NULL::uuid, ARRAY[%s::uuid]", [str(NUMBER), str(NUMBER)])
        read = cursor.fetchone()
    assert read == (NUMBER, None, [NUMBER])
    assert (str(read[0]), hash(read[0]), read[0].version) == (str(NUMBER), hash(NUMBER), 7)


def test_a_row_read_is_what_the_constructor_would_have_made_of_it(alice: Person) -> None:
    shop = Shop.objects.create(person=alice, street="Main")
    read = Shop.objects.get(pk=shop.pk)
    row = Shop.objects.values_list().get(pk=shop.pk)
    built = models.Model.from_db.__func__(Shop, "default", [], row)
    ours, theirs = dict(read.__dict__), dict(built.__dict__)
    assert ours.pop("_vault_batch")
    states = ours.pop("_state"), theirs.pop("_state")
    assert {(state.adding, state.db) for state in states} == {(False, "default")}
    assert ours == theirs
    assert read.person == alice


def test_a_listener_to_made_objects_still_hears_of_rows_read(alice: Person) -> None:
    heard: list[object] = []

    def listen(instance: object, **kwargs: object) -> None:
        heard.append(instance)

    post_init.connect(listen, sender=Person)
    try:
        read = Person.objects.get(pk=alice.pk)
    finally:
        post_init.disconnect(listen, sender=Person)
    assert heard == [read]


def test_a_model_with_a_constructor_of_its_own_keeps_it() -> None:
    class Careful(SealedModel):
        class Meta:
            abstract = True
            app_label = "vault_tests"

        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)

    assert attnames(Careful) == ()
    assert attnames(Person)[0] == "id"
