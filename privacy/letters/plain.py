"""The headline and the text part of a letter, read from its HTML part: every sentence of a letter is written once.

What must never happen: a letter that says one thing to who reads HTML and another to who reads text or paper. So a
letter has a headline, paragraphs and lists of entries, and words that stand in none of them are refused.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

BLANKS = re.compile(r"[ \t\r\n\f]+")  # what a browser draws as one blank; a no-break space is none of them
HEADLINE = "h1"
PARTS = ("p", "li", HEADLINE)
UNSEEN = ("head",)  # the title of the page is no part of the letter


class NotALetter(ValueError):
    """The words of the letter stand where the text part cannot say them. The message repeats none of them."""


def read(html: str) -> tuple[str, str]:
    """Return headline and text of a letter: paragraphs apart by an empty line, `- ` before what stands in a list.

    A list follows its paragraph at once. A link stands as its address, after its words where those are not the address.
    Raises NotALetter for words outside of paragraphs, entries and the headline, and for one of these inside of another.
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    if reader.items:
        raise NotALetter("A list of a letter is a ul.")
    return " ".join(reader.headline.split()), "\n\n".join(reader.paragraphs) + "\n"


class _Reader(HTMLParser):
    """Collects paragraphs and the entries of lists; between them stands nothing but blanks."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.headline = ""
        self.paragraphs: list[str] = []
        self._piece = ""  # of the paragraph, entry or headline that is being read; a line end is one of the letter
        self.items: list[str] = []  # of the list that is being read
        self._part = ""
        self._link = ("", 0)  # its address, and where in the piece its words begin
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in UNSEEN:
            self._unseen += 1
        elif tag in PARTS:
            if self._part:
                raise NotALetter(f"In a letter stands no {tag} inside of a {self._part}.")
            self._piece, self._part = "", tag
        elif tag == "br":
            self._piece += "\n"
        elif tag == "a":
            self._link = (dict(attrs).get("href") or "", len(self._piece))

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        if not self._part and data.strip():
            raise NotALetter("The words of a letter stand in paragraphs and entries of lists.")
        self._piece += BLANKS.sub(" ", data)

    def handle_endtag(self, tag: str) -> None:
        if tag in UNSEEN:
            self._unseen -= 1
        elif tag == "a":
            address, begin = self._link
            if address and self._piece[begin:].strip() != address:
                self._piece += f" ({address})"
        if tag in PARTS:
            self._part = ""
        if tag == "p":
            self.paragraphs += ["\n".join(self._lines())]
        elif tag == "li":
            self.items += ["- " + "\n  ".join(self._lines())]
        elif tag == "ul":
            self.paragraphs[-1:] = ["\n".join([*self.paragraphs[-1:], *self.items])]
            self.items = []
        elif tag == HEADLINE:
            self.headline = self._piece

    def _lines(self) -> list[str]:
        return [BLANKS.sub(" ", line).strip() for line in self._piece.strip().split("\n")]
