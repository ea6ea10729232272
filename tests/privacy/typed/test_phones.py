"""Telephone numbers in the spellings that people use, and by what each is found."""

import pytest

from privacy.typed import phones

SPELT = {
    "+19788186180": [
        "+1 (978) 818-6180 ext. 123", "978-818-6180 x12", "978-818-6180 EXT 5", "978-818-6180, ext 5", "978-818-6180 #12",
        "978.818.6180 extension 12", "\u202a+1 978-818-6180\u202c", "978\u00a0818\u00a06180", "978\u2011818\u20116180",
        "+1-978-818-6180;ext=12", "1 978 818 6180", "001 978 818 6180", "(978) 818–6180",
    ],
    "+4915112345009": [
        "+49 151 12345009", "0049 15112345009", "+49 (0)151 12345009", "(+49) 151/12345009", "0151 12345009", "0151/123 450-09",
        "4915112345009", "011 49 151 12345009", "٠١٥١ ١٢٣٤٥٠٠٩", "0151 12345009 DW 3",
    ],
    "+442079460102": ["+44 (0)20 7946 0102", "020 7946 0102", "0044 20 7946 0102"],
    "+390612345678": ["+39 06 12345678", "06 12345678"],
    "+74951234567": ["+7 495 123-45-67", "8 (495) 123-45-67"],
    "+3612345678": ["+36 1 234 5678", "06 1 234 5678"],
    "+18005444871": ["1-800-LIGHTS1", "1-800-544-4871"],
}  # fmt: skip


@pytest.mark.parametrize(("number", "spelt"), [(number, one) for number, spelt in SPELT.items() for one in spelt])
def test_a_number_is_taken_and_found_in_every_spelling(number: str, spelt: str) -> None:
    assert phones.is_written(spelt)
    for other in (number, *SPELT[number]):
        assert set(phones.stored(spelt)) & set(phones.asked(other)), other
        assert set(phones.stored(other)) & set(phones.asked(spelt)), other


def test_two_numbers_in_one_field_are_each_found() -> None:
    for both in ("978-818-6180 / 978-555-0100", "978-818-6180/978-555-0100", "978-818-6180, 978-555-0100 x2"):
        assert phones.is_written(both)
        for one in ("+1 978 818 6180", "9785550100"):
            assert set(phones.stored(both)) & set(phones.asked(one))


@pytest.mark.parametrize(
    "text",
    [
        "call me",
        "12",
        "1.97882E+09",
        "4.93E+12",
        "555-0100; DROP",
        "x12",
        "",
        "978-818-6180 <b>",
        "1, 2, 3, 4, 5, 6",
        "1" * 61,
    ],
)
def test_what_is_no_number_is_not_taken(text: str) -> None:
    assert not phones.is_written(text)


def test_a_number_that_says_its_country_is_no_other_countrys() -> None:
    assert not set(phones.stored("+43 151 12345009")) & set(phones.asked("+49 151 12345009"))
    assert not phones.fits("+43 151 12345009", "DE") and phones.fits("+49 151 12345009", "DE")
    assert (
        phones.fits("0151 12345009", "AT") and phones.fits("978 818 6180", "") and not phones.fits("+49 30 901820", "")
    )
    assert phones.sure("0049 151 12345009") == ["+4915112345009"] and phones.sure("0151 12345009") == []


def test_a_number_among_words_of_before_is_still_found() -> None:
    assert set(phones.stored("ask for Bob at 978-818-6180")) & set(phones.asked("+1 978 818 6180"))
