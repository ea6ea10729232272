"""The leak scanner finds what it must: a scanner that finds nothing proves nothing."""

import base64
import gzip
import hashlib
import json
import pickle
import zlib

import pytest

from tests.scanner import Scanner

EMAIL = "alice.müller@optics.example"
PHONE = "+1 (978) 555-0182"
STREET = "12 Größe Straße"


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner([EMAIL, PHONE, STREET])


DISGUISES = {
    "bare": EMAIL.encode(),
    "upper case": EMAIL.upper().encode(),
    "hex": EMAIL.encode().hex().encode(),
    "dump of a bytea column": b"1\t\\\\x" + b"00".join([b"", EMAIL.encode().hex().encode()]) + b"\n",
    "base64": base64.b64encode(EMAIL.encode()),
    "base64 at an odd offset": base64.b64encode(b"x" + EMAIL.encode()),
    "session (zlib, base64url, signed)": b"."
    + base64.urlsafe_b64encode(zlib.compress(json.dumps({"e": EMAIL}).encode()))
    + b":sig",
    "gzip": gzip.compress(STREET.encode()),
    "zlib in the middle": b"\x00\x01junk" + zlib.compress(STREET.encode()) + b"tail",
    "JSON escapes": json.dumps({"street": STREET}).encode(),
    "digits of a phone": b'{"phone": "19785550182"}',
    "hex of base64 of zlib": base64.b64encode(zlib.compress(PHONE.encode())).hex().encode(),
    "sha-256 in hex": hashlib.sha256(EMAIL.encode()).hexdigest().encode(),
    "sha-1 in base64": base64.b64encode(hashlib.sha1(EMAIL.encode()).digest()),
    "md5 raw": b"\x00" + hashlib.md5(b"19785550182").digest() + b"\x00",
    "cut-off blake2b": hashlib.blake2b(EMAIL.encode()).hexdigest()[:32].encode(),
    "pickle": pickle.dumps({"to": [EMAIL]}),
    "utf-16": EMAIL.encode("utf-16-le"),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_leak_is_found_in_every_disguise(scanner: Scanner, disguise: str) -> None:
    assert scanner.scan("planted", b"before " + DISGUISES[disguise] + b" after"), disguise


def test_ordinary_bytes_are_no_find(scanner: Scanner) -> None:
    ordinary = b"order 1978555 shipped 2024-01-12 " + hashlib.sha512(b"other").hexdigest().encode() * 400
    assert scanner.scan("ordinary", ordinary) == set()


def test_a_find_does_not_carry_the_text(scanner: Scanner) -> None:
    (find, *_) = scanner.scan("log", EMAIL.encode())
    assert EMAIL not in repr(find)
