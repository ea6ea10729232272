"""A beginning is made once for the tests that name it, is whole for each of them, and is gone for the others."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from django.db import connection

from accounts.models import Customer
from privacy import vault
from tests import factories, people
from tests.beginnings import beginning

made: list[str] = []


class Two(NamedTuple):
    alice: Customer
    bob: Customer


@beginning
def two() -> Two:
    made.append("two")
    return Two(people.an_alice(), factories.customer("Bob", "Baker", email="bob@example.com"))


@beginning
def one() -> Customer:
    made.append("one")
    return people.an_alice()


def rename(customer: Customer) -> None:
    with vault.internal():
        assert customer.first_name == "Alice", "what another test wrote is undone, in the row and in memory"
        customer.first_name = "Alix"
        customer.save(update_fields=["first_name"])
        assert Customer.objects.get(pk=customer.pk).first_name == "Alix"


def test_the_first_writes(two: Two) -> None:
    rename(two.alice)
    Customer.objects.filter(pk=two.bob.pk).delete()


def test_with_another_beginning_the_rows_of_the_first_are_gone(one: Customer) -> None:
    assert list(Customer.objects.all()) == [one]
    rename(one)


@pytest.mark.django_db(transaction=True)
def test_one_that_commits_begins_with_nothing() -> None:
    assert not connection.in_atomic_block
    assert not Customer.objects.exists()


@pytest.mark.django_db
def test_one_without_a_beginning_begins_with_nothing() -> None:
    assert not Customer.objects.exists()


def test_the_second_finds_all_as_it_was_made(two: Two) -> None:
    assert set(Customer.objects.all()) == set(two)
    rename(two.alice)
    assert made.count("two") == 1
