"""The headline and the text part of a letter, read from its HTML part: every sentence of a letter is written once.

What must never happen: a letter that says one thing to who reads HTML and another to who reads text or paper. So a
letter is made of the few tags that the text part can say (`STANDS_IN`), each ended where HTML ends it; anything else is
refused when the letter is composed, before a word is lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

BLANKS = re.compile(r"[ \t\r\n\f]+")  # what a browser draws as one blank; a no-break space is none of them
HEADLINE = "h1"
PARTS = ("p", "li", HEADLINE)
UNSEEN = "head"  # the title of the page is no part of the letter
ENDLESS = ("br", "meta")
WHOLE = ""  # what stands in no tag
BLOCK = (WHOLE, "body", "div")
WORDS = ("p", "li", "strong", "em")
# Each tag that a letter may have, and in which it stands. Whatever is not here would be drawn and not told.
STANDS_IN = {
    "html": (WHOLE,),
    "head": ("html",),
    "meta": ("head",),
    "title": ("head",),
    "body": ("html",),
    "div": BLOCK,
    HEADLINE: BLOCK,
    "p": BLOCK,
    "ul": BLOCK,
    "li": ("ul",),
    "strong": (*WORDS, "a", HEADLINE),
    "em": (*WORDS, "a", HEADLINE),
    "a": WORDS,
    "br": (*WORDS, "a", HEADLINE),
}
# What a browser neither draws nor follows; any other attribute may say something, or hide what is said.
ATTRIBUTES = {"html": ("lang",), "meta": ("charset", "name", "content"), "a": ("href",)}
LOOKS = "style"
HIDES = re.compile(r"display|visibility", re.IGNORECASE)


class NotALetter(ValueError):
    """The letter has what its text part cannot say, or would lose. The message repeats none of its words."""


def read(html: str) -> tuple[str, str]:
    """Return headline and text of a letter: paragraphs apart by an empty line, `- ` before what stands in a list.

    A list follows its paragraph at once. A link stands as its address, after its words where those are not the address.
    Raises NotALetter for words outside of paragraphs, entries and the headline, for a tag or attribute that is not
    among STANDS_IN and ATTRIBUTES or stands where it may not, for one that is not ended, or ended and never begun, and
    for a second headline.
    """
    reader = _Reader()
    reader.feed(html)
    if reader.rawdata.strip():
        raise NotALetter("A tag of the letter breaks off.")
    reader.close()
    if reader.within:
        raise NotALetter(f"In a letter each {reader.within[-1]} is ended.")
    return " ".join((reader.headline or "").split()), "\n\n".join(reader.paragraphs) + "\n"


def _refused(what: str) -> Callable[..., Any]:
    def refuse(self: _Reader, *_: Any) -> None:
        raise NotALetter(f"A letter has no {what}.")

    return refuse


class _Reader(HTMLParser):
    """Collects paragraphs and the entries of lists; between them stands nothing but blanks."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.within: list[str] = []  # the tags that are open, the innermost last
        self.headline: str | None = None
        self.paragraphs: list[str] = []
        self._piece = ""  # of the paragraph, entry or headline that is being read; a line end is one of the letter
        self._items: list[str] = []  # of the list that is being read
        self._link = ("", 0)  # its address, and where in the piece its words begin

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        where = self.within[-1] if self.within else WHOLE
        if where not in STANDS_IN.get(tag, ()):
            raise NotALetter(f"In a letter stands no {tag} {f'inside of a {where}' if where else 'by itself'}.")
        self._look_at(tag, attrs)
        if tag in PARTS:
            self._piece = ""
        elif tag == "br":
            self._piece += "\n"
        elif tag == "a":
            self._link = (dict(attrs).get("href") or "", len(self._piece))
        if tag == HEADLINE and self.headline is not None:
            raise NotALetter("A letter has one headline.")
        if tag not in ENDLESS:
            self.within.append(tag)

    def _look_at(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == LOOKS and not HIDES.search(value or ""):
                continue
            if name not in ATTRIBUTES.get(tag, ()):
                raise NotALetter(f"In a letter a {tag} has no such {name}.")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ENDLESS:  # a browser goes on inside of it
            raise NotALetter(f"In a letter a {tag} is ended by a tag of its own.")
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        if UNSEEN in self.within:
            return
        if not any(tag in PARTS for tag in self.within) and data.strip():
            raise NotALetter("The words of a letter stand in paragraphs and entries of lists.")
        self._piece += BLANKS.sub(" ", data)

    def handle_endtag(self, tag: str) -> None:
        if not self.within or self.within.pop() != tag:
            raise NotALetter(f"In a letter a {tag} ends what it began, and that alone.")
        if tag == "a":
            address, begin = self._link
            if address and self._piece[begin:].strip() != address:
                self._piece += f" ({address})"
        elif tag == "p":
            self.paragraphs += ["\n".join(self._lines())]
        elif tag == "li":
            self._items += ["- " + "\n  ".join(self._lines())]
        elif tag == "ul":
            self.paragraphs[-1:] = ["\n".join([*self.paragraphs[-1:], *self._items])]
            self._items = []
        elif tag == HEADLINE:
            self.headline = self._piece

    def handle_decl(self, decl: str) -> None:
        if decl.lower() != "doctype html":
            raise NotALetter("A letter has no declaration but doctype html.")

    handle_comment = _refused("comment")
    handle_pi = _refused("processing instruction")
    unknown_decl = _refused("marked section")

    def _lines(self) -> list[str]:
        return [BLANKS.sub(" ", line).strip() for line in self._piece.strip().split("\n")]
