"""No long text keeps a pattern of ours busy (B20): time grows with the length, not with its
square. 50 kB for the report."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import re
import time
from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

import accounts
import ilt_site
import orders
import privacy
import rma
from accounts import validators
from ilt_site import logs
from privacy.requests import codes
from privacy.typed import cards, mailbox, phones
from privacy.vault import index
from tests.figures import report, tries

pytestmark = pytest.mark.figure

SIZE = tries(10_000, 50_000)
SEEDS = [
    "a", "A", "1", "0", " ", "-", ".", "@", "a@", "a.", "1 ", "1-", "4111 ", "12-", "(1", "x1", "e1", "=", "\t", "\n", "AB12 ", "AB12 CD34 ",
    "DE89 3704 ", "cvv ", "card ", "ssn ", "social security ", "123-45-", "1.2.3.", ":", "::", "a:", "f:", "0:0:", "?", "a?", "/a",
    "Aa1_", "Aa1-", "&lt;", "é", "\u0301", "１", "٤", "😀", "PR-2026-", "{{", "<a ", "a b ", "ext. ", "+1 (978) ", "-é", "_",
]  # fmt: skip


def patterns() -> dict[str, re.Pattern[str]]:
    """Return every compiled pattern of the product, validators' included, by its place."""
    found: dict[str, re.Pattern[str]] = {}
    for package in (accounts, ilt_site, orders, privacy, rma):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations" in module.name or module.name.endswith(("__main__", ".wsgi", ".webserver")):
                continue
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, RegexValidator):
                    value = value.regex
                if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                    found[f"{module.name}.{name}"] = value
    return found


def used_as(pattern: re.Pattern[str]) -> Callable[[str], object]:
    """Return how a pattern is used: one that says where it ends is held against the whole, others are looked for."""
    return pattern.match if pattern.pattern.endswith(("\\Z", "$")) else lambda text: pattern.sub("", text)


def seconds(do: Callable[[str], object], text: str) -> float:
    """Return the least CPU time of three runs."""
    best = 9.0
    for _ in range(3):
        begin = time.process_time()
        with contextlib.suppress(ValidationError):
            do(text)
        best = min(best, time.process_time() - begin)
    return best


def worst(do: Callable[[str], object], seeds: list[str]) -> tuple[float, str]:
    """Return the longest time for a text of SIZE, asserting that ten times the length takes no
    more than forty times as long."""
    longest, culprit = 0.0, ""
    for seed in seeds:
        for tail in ("", "!"):

            def text(size: int, seed: str = seed, tail: str = tail) -> str:
                return (seed * (size // len(seed) + 1))[: size - 1] + tail

            took = seconds(do, text(SIZE))
            if took > 0.010:  # what takes less is linear or close enough, and too short to compare
                assert took < 40 * max(seconds(do, text(SIZE // 10)), 0.0005), (do, seed)
            if took > longest:
                longest, culprit = took, seed
    return longest, culprit


FUNCTIONS: dict[str, Callable[[str], object]] = {
    "cards.find": cards.find, "cards.redact": cards.redact, "cards.blot": cards.blot, "cards.refuse": cards.refuse,
    "logs.redact": logs.redact, "mailbox.validate": mailbox.validate, "validate_phone": validators.validate_phone,
    "no_card_for_product": validators.no_card_for_product, "no_card_for_identifier": validators.no_card_for_identifier,
    "phones.read": phones.read, "validate_username": validators.validate_username,
    "validate_reference": validators.validate_reference, "validate_freight_account": validators.validate_freight_account,
    "validate_vat": lambda text: validators.validate_vat(text, "DE"), "validate_tax_id": lambda text: validators.validate_tax_id(text, "US"),
    "validate_ssn": validators.validate_ssn, "index.words": index.words,
    **{f"index.{name}": lambda text, name=name: index.normalise(name, text) for name in index.NORMALISERS},
    "read_reference": codes.read_reference,
}  # fmt: skip


def test_every_pattern_of_ours_is_quick_with_its_worst_text() -> None:
    seeds = SEEDS[:: tries(3, 1)]
    found = patterns()
    assert len(found) >= 15, sorted(found)
    longest = {name: worst(used_as(pattern), seeds) for name, pattern in found.items()}
    name, (took, seed) = max(longest.items(), key=lambda item: item[1][0])
    print(f"the longest: {name} with {seed!r}")
    report(
        "B20",
        f"longest time of a pattern with {SIZE // 1000} kB",
        round(took * 1000, 1),
        unit="ms",
        n=len(found),
        goal="≤ 50 ms",
    )


def test_every_validator_and_reader_of_text_is_quick_with_its_worst_text() -> None:
    seeds = SEEDS[:: tries(4, 1)]
    longest = {name: worst(do, seeds) for name, do in FUNCTIONS.items()}
    name, (took, seed) = max(longest.items(), key=lambda item: item[1][0])
    print(f"the longest: {name} with {seed!r}")
    report(
        "B20",
        f"longest time of a validator with {SIZE // 1000} kB",
        round(took * 1000, 1),
        unit="ms",
        n=len(longest),
        goal="≤ 50 ms",
    )
