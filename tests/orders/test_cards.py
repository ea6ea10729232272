"""No card number gets into a payment, by whatever field (P20, P22)."""

import pytest

from orders.cards import CardRefused, check_card, last_four


def test_token_brand_last_four_and_expiry_are_taken() -> None:
    check_card(token="tok_1Nx7aaBbCc", brand="American Express", last_four="4242", expiry="09/2031")


def test_nothing_at_all_is_taken() -> None:
    check_card()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("token", "4242424242424242"),
        ("token", "tok_4242424242424242"),
        ("token", "42424242424242"),
        ("token", "short"),
        ("last_four", "424"),
        ("last_four", "42424"),
        ("last_four", "4242 4242"),
        ("last_four", "42a4"),
        ("last_four", "4242\n"),
        ("expiry", "13/2030"),
        ("expiry", "09/30"),
        ("expiry", "09/2030 123"),
        ("brand", "Visa 4242"),
        ("brand", "4242424242424242"),
    ],
)
def test_more_than_that_is_refused_without_repeating_it(field: str, value: str) -> None:
    with pytest.raises(CardRefused) as refused:
        check_card(**{field: value})
    assert value not in str(refused.value)
    assert field in str(refused.value)


@pytest.mark.parametrize(
    ("number", "digits"),
    [
        ("77777462752259", "2259"),
        ("4242 4242 4242 4242", "4242"),
        ("4242-4242-4242-4241", "4241"),
        ("12345678901", ""),
        ("4242x4242424242", ""),
        ("12345678901234567890", ""),
        ("", ""),
        ("٤٢٤٢٤٢٤٢٤٢٤٢٤٢", ""),
    ],
)
def test_a_card_number_is_cut_down_to_its_last_four(number: str, digits: str) -> None:
    assert last_four(number) == digits
