"""Somebody at a browser who looks at every page they come to: axe-core, the console, the width, title and heading.

With `ILT_SCREENSHOTS=FOLDER` each look also leaves pictures there, for the eye.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Locator, Page

AXE = Path(__file__).with_name("axe.min.js")
AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"  # axe-core 4.14.1, as published
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# `preload` would fetch style sheets by script, which the content policy refuses, as it should.
_RUN = f"""async () => (await axe.run(document, {{runOnly: {TAGS}, preload: false, resultTypes: ["violations"]}})).violations.map(
    one => one.id + ": " + one.nodes.map(node => node.target.join(" ") + " " + (node.any[0]?.message || "")).join("; "))"""

# Tables that go on past the edge of what holds them: nobody sees their last column.
_CLIPPED = """[...document.querySelectorAll("#changelist .results, .wide")].filter(one =>
    one.scrollWidth > one.clientWidth + 1).map(one => `${one.scrollWidth} of ${one.clientWidth} px, ` +
    [...one.querySelectorAll("thead th")].map(cell => cell.innerText.trim()).join(" | "))"""

# The answers to one question whose buttons are not of one size, or do not stand under each other.
_RAGGED = """() => {
    const asked = Map.groupBy(document.querySelectorAll("input[type=radio], input[type=checkbox]"), one => one.name);
    const boxes = all => all.map(one => one.getBoundingClientRect()).filter(one => one.width > 0);
    const is_ragged = ([first, ...more]) => more.some(
        one => Math.abs(one.width - first.width) > 1 || Math.abs(one.left - first.left) > 1);
    return [...asked].filter(([_, all]) => is_ragged(boxes(all))).map(([name, _]) => name);
}"""
# What stands smaller than the label before it, in a record at the desk.
_INVERTED = """() => [...document.querySelectorAll(".form-row label + .readonly")].filter(one =>
    parseFloat(getComputedStyle(one).fontSize) < parseFloat(getComputedStyle(one.previousElementSibling).fontSize)
    ).map(one => one.previousElementSibling.textContent.trim())"""


class Dimension(NamedTuple):
    """How somebody sees the site."""

    name: str
    width: int
    scheme: str
    script: bool


WIDE = Dimension("1280 px, light", 1280, "light", True)
NARROW = Dimension("360 px, dark", 360, "dark", True)
PLAIN = Dimension("360 px, without JavaScript", 360, "light", False)
PAPER = 720  # px: a letter sheet between its margins
DIMENSIONS = [WIDE, NARROW, PLAIN]


@dataclass
class Findings:
    """What a whole file of journeys saw: how many pages, and what they are made of."""

    looks: int = 0
    bodies: dict[str, str] = field(default_factory=dict)


class Visitor:
    """One browser window, which goes about in one dimension and looks at each page in others too."""

    def __init__(
        self, browser: Browser, base: str, dimension: Dimension, findings: Findings, others: Sequence[Dimension] = ()
    ) -> None:
        self.base, self.dimension, self.findings, self.others = base, dimension, findings, others
        self.wrong: list[str] = []  # the test fails with these when it is over
        self.context = browser.new_context(
            viewport={"width": dimension.width, "height": 800},
            color_scheme=dimension.scheme,  # type: ignore[arg-type]
            java_script_enabled=dimension.script,
            reduced_motion="reduce",
        )
        self.page: Page = self.context.new_page()
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self._wrong(f"script error: {error}"))
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)
        self._answer: Any = None
        self._expected = 200

    def open(self, path: str, name: str = "", *, status: int = 200) -> None:
        """Go to a page, and look at it when it has a name."""
        self._expected = status
        answer = self.page.goto(path if "://" in path else self.base + path)
        assert answer is not None and answer.status == status, (path, answer and answer.status)
        if name:
            self.look(name)
        self._expected = 200

    @contextmanager
    def expecting(self, status: int) -> Iterator[None]:
        """Let the pages of the block answer with this status."""
        self._expected = status
        yield
        self._expected = 200

    def press(self, text: str, name: str = "", *, status: int = 200) -> None:
        """Press the button or link of the page's main part, and look at where it leads when that has a name."""
        buttons = self.page.locator("main, #content, #user-tools, header").get_by_role("button", name=text)
        self._follow(buttons if buttons.count() else self.page.get_by_role("link", name=text), name, status)

    def follow(self, selector: str, name: str = "", *, status: int = 200) -> None:
        """Press the first button or link of a selector, wait for where it leads, and look at that when it has a
        name."""
        self._follow(self.page.locator(selector), name, status)

    def _follow(self, found: Locator, name: str, status: int) -> None:
        self._expected = status
        with self.page.expect_navigation():
            found.first.click()
        if name:
            self.look(name)
        self._expected = 200

    def fill(self, **fields: str) -> None:
        """Fill in fields by their names."""
        for name, text in fields.items():
            self.page.fill(f"[name={name}]", text)

    def text(self) -> str:
        """Return what the page says."""
        return " ".join(self.page.inner_text("body").split())

    def look(self, name: str) -> None:
        """Look at the page that is open, in each dimension."""
        page = self.page
        self.findings.looks += 1
        if self._answer is not None:
            self.findings.bodies[f"{name}, {self.dimension.name}"] = self._answer.text()
        if len(page.title()) < 8:
            self._wrong(f"has the title {page.title()!r}", name)
        if (headings := page.locator("h1").count()) != 1:
            self._wrong(f"has {headings} headings of the first level", name)
        if self.dimension.script:
            page.evaluate(AXE.read_text())
        self._look(name, self.dimension)
        for dimension in self.others:
            self._turn(dimension)
            self._look(name, dimension)
        if self.others:
            self._turn(self.dimension)
        if folder := os.environ.get("ILT_SCREENSHOTS"):
            self._pictures(Path(folder), name)

    def _look(self, name: str, dimension: Dimension) -> None:
        """Ask what may be wrong in one dimension and right in another."""
        needed = self.page.evaluate("document.documentElement.scrollWidth")
        if needed > dimension.width:
            self._wrong(f"needs {needed} px", name, dimension)
        if dimension is WIDE:  # on a narrow one a table scrolls, with a shadow at its edge
            for clipped in self.page.evaluate(_CLIPPED):
                self._wrong(f"clips a table: {clipped}", name, dimension)
        for question in self.page.evaluate(_RAGGED):
            self._wrong(f"has answers of several sizes or edges: {question}", name, dimension)
        if labels := self.page.evaluate(_INVERTED):
            self._wrong(f"has labels larger than what they label: {labels}", name, dimension)
        if self.dimension.script:
            for violation in self.page.evaluate(_RUN):
                self._wrong(violation, name, dimension)

    def _turn(self, dimension: Dimension) -> None:
        """See the open page in another dimension, with its colours as they are in the end."""
        self.page.set_viewport_size({"width": dimension.width, "height": 800})
        self.page.emulate_media(color_scheme=dimension.scheme)  # type: ignore[arg-type]
        self.page.evaluate("document.getAnimations().forEach(one => one.finish())")

    def _pictures(self, folder: Path, name: str) -> None:
        if WIDE not in (self.dimension, *self.others):
            return
        folder.mkdir(parents=True, exist_ok=True)
        file = f"{self.findings.looks:03d}-{re.sub('[^a-z0-9]+', '-', name.lower())}"
        for width in (WIDE.width, NARROW.width):
            self.page.set_viewport_size({"width": width, "height": 800})
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                self.page.screenshot(
                    path=folder / f"{file}-{width}-{scheme}.png", full_page=True, animations="disabled"
                )
        self.page.set_viewport_size({"width": PAPER, "height": 800})
        self.page.emulate_media(media="print", color_scheme="light")
        self.page.screenshot(path=folder / f"{file}-paper.png", full_page=True, animations="disabled")
        self.page.emulate_media(media="screen")
        self._turn(self.dimension)

    def _wrong(self, what: str, name: str = "", dimension: Dimension | None = None) -> None:
        self.wrong.append(f"{name or self.page.url} ({(dimension or self.dimension).name}): {what}")

    def _said(self, message: Any) -> None:
        # The console repeats the status of a page that is meant to answer 404.
        if message.type == "error" and f"status of {self._expected}" not in message.text:
            self._wrong(f"console: {message.text}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.base, "data:", "file:", "about:", "blob:")):
            self._wrong(f"asks {request.url}")

    def _answered(self, response: Any) -> None:
        if response.request.is_navigation_request() and response.status not in (301, 302, 303):
            self._answer = response
