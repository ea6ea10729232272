"""Search stored bytes for what must not be readable in them.

Used by the tests that prove design decision 1: nothing that identifies a person stands in
plaintext. A search for the bare text would prove little: a compressed session in base64 shows
nothing to ``grep`` and is still readable by anybody. So every haystack is also searched after
decoding hex, base64, zlib, gzip and JSON escapes, several layers deep, and for the unkeyed hashes
of every needle, which anybody can compute and compare.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

import ahocorasick

MAX_DEPTH = 5
DIGEST_PREFIX = 12  # bytes of a digest that are enough to recognise it, cut off or not
HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s", "sha3_256")

_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){8,}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{12,}")
_ESCAPED = re.compile(rb"(?:\\u[0-9a-fA-F]{4})+")
_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")


@dataclass(frozen=True)
class Find:
    """Where a needle was found: the haystack's name, the layers decoded, which needle and how."""

    where: str
    path: tuple[str, ...]
    needle: int
    form: str


class Scanner:
    """Recognises needles, and what anybody could derive from them, in any haystack."""

    def __init__(self, needles: Iterable[str]) -> None:
        """Take the texts to look for; an entry shorter than six characters would match by chance."""
        self.needles = [needle for needle in dict.fromkeys(needles) if len(needle) >= 6]
        self._text = ahocorasick.Automaton()
        self._exact = ahocorasick.Automaton()
        for number, needle in enumerate(self.needles):
            for form, text in _text_forms(needle):
                self._text.add_word(text, (number, form))
            for form, text in _digest_forms(needle):
                self._exact.add_word(text, (number, form))
        if self.needles:
            self._text.make_automaton()
            self._exact.make_automaton()

    def scan(self, where: str, blob: bytes) -> set[Find]:
        """Return every find in ``blob`` and in all that can be decoded from it without a key."""
        finds: set[Find] = set()
        if not self.needles:
            return finds
        seen: set[bytes] = set()
        stack: list[tuple[tuple[str, ...], bytes]] = [((), blob)]
        while stack:
            path, data = stack.pop()
            digest = hashlib.blake2b(data, digest_size=16).digest()
            if digest in seen:
                continue
            seen.add(digest)
            text = data.decode("latin-1")
            for automaton, haystack in ((self._text, _lower(data)), (self._exact, text)):
                for _end, (number, form) in automaton.iter(haystack):
                    finds.add(Find(where, path, number, form))
            if len(path) < MAX_DEPTH:
                stack.extend(((*path, layer), inner) for layer, inner in _layers(data))
        return finds


def _lower(data: bytes) -> str:
    """Lower-case as text where it is text, so that ``É`` meets ``é``; else byte by byte."""
    try:
        return data.decode().lower().encode().decode("latin-1")
    except UnicodeDecodeError:
        return data.lower().decode("latin-1")


def _text_forms(needle: str) -> Iterator[tuple[str, str]]:
    lowered = needle.lower()
    forms = {
        "text": lowered,
        "url-quoted": quote(lowered),
        "url-quoted all": quote(lowered, safe=""),
        "json": json.dumps(lowered)[1:-1],
        "utf-16": lowered.encode("utf-16-le").decode("latin-1"),
    }
    digits = "".join(character for character in needle if character.isdigit())
    if len(digits) >= 7 and sum(c.isalpha() for c in needle) == 0:
        forms["digits"] = digits
    for form, text in forms.items():
        yield form, text if form == "utf-16" else text.encode().decode("latin-1")


def _digest_forms(needle: str) -> Iterator[tuple[str, str]]:
    spellings = {needle, needle.lower(), needle.upper(), needle.strip().casefold()}
    digits = "".join(character for character in needle if character.isdigit())
    if len(digits) >= 7:
        spellings |= {digits, "+" + digits}
    for spelling in spellings:
        for name in HASHES:
            digest = hashlib.new(name, spelling.encode()).digest()[:DIGEST_PREFIX]
            yield f"{name} raw", digest.decode("latin-1")
            yield f"{name} hex", digest.hex()
            yield f"{name} HEX", digest.hex().upper()
            yield f"{name} base64", base64.b64encode(digest).decode()
            yield f"{name} base64url", base64.urlsafe_b64encode(digest).decode()


def _layers(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (name, decoded) for everything in ``data`` that decodes without a key."""
    for match in _ZLIB.finditer(data):
        inner = _inflate(data[match.start() :])
        if inner:
            yield "zlib", inner
    for match in _HEX.finditer(data):
        yield "hex", binascii.unhexlify(match.group())
    for match in _BASE64.finditer(data):
        run = match.group()
        if _HEX.fullmatch(run):
            continue
        plain = run.replace(b"-", b"+").replace(b"_", b"/")
        for start in range(4 if len(plain) < 4096 else 1):
            piece = plain[start:]
            piece = piece[: len(piece) // 4 * 4] if len(piece) % 4 == 1 else piece
            yield "base64", base64.b64decode(piece + b"=" * (-len(piece) % 4))
    if _ESCAPED.search(data):
        yield "json", _ESCAPED.sub(_unescape, data)


def _unescape(match: re.Match[bytes]) -> bytes:
    return json.loads(b'"' + match.group() + b'"').encode(errors="replace")


def _inflate(data: bytes) -> bytes:
    try:
        inflater = zlib.decompressobj(wbits=47)  # 47: zlib or gzip header
        return inflater.decompress(data, 64 << 20)
    except zlib.error:
        return b""
