"""The text part of a letter is made from its HTML part, and says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from privacy import letters
from privacy.letters import plain
from privacy.letters.models import Letter
from tests.factories import NOW


def test_a_paragraph_is_one_line_however_its_source_is_laid_out() -> None:
    html = "<h1>\n  Your copy\n  is ready\n</h1>\n<p>\n  One sentence.\n  Another <strong>one</strong>.\n</p>\n<p>Second.</p>"
    assert plain.read(html) == ("Your copy is ready", "One sentence. Another one.\n\nSecond.\n")


def test_a_line_end_of_the_letter_stays_one() -> None:
    assert plain.read("<p>ILT<br>\n  10 Technology Drive<br>Peabody</p>")[1] == "ILT\n10 Technology Drive\nPeabody\n"


def test_a_list_stands_under_its_paragraph_with_its_further_lines_set_in() -> None:
    html = "<p>What goes:</p>\n<ul>\n<li>Order 1: name<br>\nWhy: law</li>\n<li>Order 2</li>\n</ul>\n<p>That is all.</p>"
    assert plain.read(html)[1] == "What goes:\n- Order 1: name\n  Why: law\n- Order 2\n\nThat is all.\n"


def test_a_link_stands_as_its_address_after_its_words() -> None:
    html = '<p><a href="https://a.example/?a=1&amp;b=2">\n  https://a.example/?a=1&amp;b=2</a></p><p>Or <a href="https://b.example/">sign in</a>.</p>'
    assert plain.read(html)[1] == "https://a.example/?a=1&b=2\n\nOr sign in (https://b.example/).\n"


def test_what_somebody_typed_is_text_and_no_markup() -> None:
    assert (
        plain.read("<p>Dora &lt;b&gt; &amp; sons\N{NO-BREAK SPACE}12</p>")[1] == "Dora <b> & sons\N{NO-BREAK SPACE}12\n"
    )


def test_what_a_browser_does_not_draw_is_not_in_the_text() -> None:
    html = "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>Company</title></head><body>"
    html += "<h1 style='margin:0'>Code</h1><div> <p>One.<br/>Two.</p> </div></body></html>"
    assert plain.read(html) == ("Code", "One.\nTwo.\n")


NO_PLACE = [
    "<h1>H</h1><p>Dear A,</p><table><tr><td>until 5 May</td></tr></table><p>x</p>",
    "<h1>H</h1><div>until 5 May</div>",
    "<h1>H</h1>until 5 May<p>x</p>",
    "<h1>H</h1><ul>until 5 May<li>a</li></ul>",
    "<h1>H</h1><ul><li>a<ul><li>until 5 May</li></ul></li></ul>",
    "<h1>H</h1><p>x</p><ol><li>until 5 May</li></ol>",
    "<h1>H</h1><li>until 5 May</li>",
    "<h1>H</h1><h2>until 5 May</h2><p>x</p>",
    "<h1>H</h1><p><a href='https://a/'>x <a href='https://b/'>until 5 May</a></a></p>",
]
NOT_ENDED = [
    "<h1>H</h1><p>a</p><p>until 5 May",
    "<h1>H</h1><p>a</p><p>until 5 May<p>b</p>",
    "<h1>H</h1><p>a</p><ul><li>until 5 May</ul>",
    "<h1>H</h1><p>a</p><ul><li>until 5 May</li>",
    "<h1>H</h1><p>a <a href='https://a.example/5 May'>here</p>",
    "<h1>until 5 May<p>a</p>",
    "<html><head><title>Company</title><body><h1>H</h1><p>until 5 May</p></body></html>",
    "<h1>H</h1><p>a</p><p title='until 5 May",
    "<h1>H</h1><p>a</p><!-- until 5 May",
]
NEVER_BEGUN = ["<h1>H</h1><p>until 5 May</p></p>", "<h1>H</h1><p>until 5 May</li></p>", "<h1>H</h1><p>5 May</br></p>"]
NOT_TOLD = [
    "<h1>until 5 May</h1><h1>H</h1><p>x</p>",
    "<h1></h1><h1>until 5 May</h1><p>x</p>",
    "<h1>H</h1><p>x <img src='a.png' alt='until 5 May'></p>",
    "<h1>H</h1><p>x <input value='until 5 May'></p>",
    "<h1>H</h1><p title='until 5 May'>x</p>",
    "<h1>H</h1><p>x</p><p/>",
    "<h1>H</h1><p>x</p><!-- until 5 May --><!DOCTYPE until 5 May>",
    "<!DOCTYPE until 5 May><h1>H</h1><p>x</p>",
    "<?until 5 May?><h1>H</h1><p>x</p>",
]
TOLD_AND_NOT_DRAWN = [
    "<h1>H</h1><p>You <del>must not</del> must pay until 5 May</p>",
    "<h1>H</h1><p hidden>until 5 May</p>",
    "<h1>H</h1><p style='Display: none'>until 5 May</p>",
    "<h1>H</h1><script>until 5 May</script><p>x</p>",
]


@pytest.mark.parametrize("html", [*NO_PLACE, *NOT_ENDED, *NEVER_BEGUN, *NOT_TOLD, *TOLD_AND_NOT_DRAWN])
def test_words_that_the_text_part_cannot_say_or_would_lose_are_refused(html: str) -> None:
    with pytest.raises(plain.NotALetter) as refused:
        plain.read(html)
    assert "5 May" not in str(refused.value)


def test_a_letter_that_would_lose_words_is_not_composed(db: None, settings: Any, tmp_path: Path) -> None:
    (tmp_path / "shipped.html").write_text("<h1>Shipped</h1><p>It is on its way.</p><p>You have until {{ day }}")
    first, *others = settings.TEMPLATES
    settings.TEMPLATES = [{**first, "DIRS": [*first["DIRS"], tmp_path]}, *others]
    with pytest.raises(plain.NotALetter):
        letters.queue("shipped", to="alice@example.com", context={"day": "5 May"}, key="shipped:1", now=NOW, folder=".")
    assert not Letter.objects.exists()
