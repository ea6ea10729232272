"""The headline and the text part of a letter, read from its HTML part: every sentence of a letter is written once.

What must never happen: a letter that says one thing to who reads HTML and another to who reads text or paper.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

BLANKS = re.compile(r"[ \t\r\n\f]+")  # what a browser draws as one blank; a no-break space is none of them
HEADLINE = "h1"
UNSEEN = ("head",)  # the title of the page is no part of the letter


def read(html: str) -> tuple[str, str]:
    """Return headline and text of a letter: paragraphs apart by an empty line, `- ` before what stands in a list.

    A list follows its paragraph at once. A link stands as its address, after its words where those are not the address.
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return " ".join(reader.headline.split()), "\n\n".join(reader.paragraphs) + "\n"


class _Reader(HTMLParser):
    """Collects paragraphs and the entries of lists; what stands in neither is between them and counts as blank."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.headline = ""
        self.paragraphs: list[str] = []
        self._piece = ""  # of the paragraph, entry or headline that is being read; a line end is one of the letter
        self._items: list[str] = []
        self._link = ("", 0)  # its address, and where in the piece its words begin
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in UNSEEN:
            self._unseen += 1
        elif tag in ("p", "li", HEADLINE):
            self._piece = ""
        elif tag == "br":
            self._piece += "\n"
        elif tag == "a":
            self._link = (dict(attrs).get("href") or "", len(self._piece))

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._piece += BLANKS.sub(" ", data)

    def handle_endtag(self, tag: str) -> None:
        if tag in UNSEEN:
            self._unseen -= 1
        elif tag == "a":
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

    def _lines(self) -> list[str]:
        return [BLANKS.sub(" ", line).strip() for line in self._piece.strip().split("\n")]
