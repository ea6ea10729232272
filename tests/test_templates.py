"""A template has one tag or one sentence on a line, and decides nothing: what is to be shown was
decided before (docs/frontend.md)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "templates"
WIDEST = 120

#: Comparisons that stay: of the form's own parts and of allauth's tags, which no code of ours prepares.
MAY_COMPARE = {
    "admin/step.html": ("form.http_method",),
    "allauth/elements/button.html": ("attrs.tags",),
    "django/forms/field.html": ("widget_type",),
    "admin/_step_field.html": ("widget_type",),
}

_TAG = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}")
_BLOCK = (
    "address|article|aside|blockquote|body|caption|dd|details|div|dl|dt|fieldset|footer|form|h[1-6]|head|header|html|legend|li"
    "|main|nav|ol|p|section|summary|table|tbody|td|tfoot|th|thead|title|tr|ul"
)
_OPENS = re.compile(rf"<(?:{_BLOCK})\b", re.I)
_CLOSES = re.compile(rf"</(?:{_BLOCK})>", re.I)
_NEXT_SENTENCE = re.compile(r"[a-z0-9)”][.!?][”)]?\s+(?=[A-Z“])")
_SHORT = re.compile(r"\b(?:Art|Gen|No|St)\.\s+$")
_CONDITION = re.compile(r"\{%\s*(?:el)?if\s(.*?)\s*%\}")
_DECIDES = re.compile(r"(?:^|\s)(?:and|or|in|is|==|!=|<|>|<=|>=)\s")


def lines(text: str) -> list[str]:
    """Return the lines of a template, without those of a style sheet in it."""
    return re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL).split("\n")


def faults(text: str) -> list[str]:
    """Return what is wrong with the layout of a template, line by line."""
    found = []
    for line in lines(text):
        bare = line.strip()
        inside = _TAG.sub("", bare)
        openings = [match.start() for match in _OPENS.finditer(bare)]
        closings = [match.end() for match in _CLOSES.finditer(bare)]
        breaks = [match for match in _NEXT_SENTENCE.finditer(inside) if not _SHORT.search(inside[: match.end()])]
        if len(line) > WIDEST:
            found.append(f"{len(line)} characters: {bare}")
        if openings[1:] or (openings and openings[0] != 0) or closings[1:] or (closings and closings[0] != len(bare)):
            found.append(f"two tags: {bare}")
        if breaks and not bare.startswith("{#"):
            found.append(f"two sentences: {bare}")
    return found


def decides(text: str, *, but: tuple[str, ...] = ()) -> list[str]:
    """Return the conditions of a template that compare or combine; counting what is shown (a page, a list) is none."""
    conditions = [re.sub(r'"[^"]*"', '""', one) for one in _CONDITION.findall(text)]
    return [
        one for one in conditions if _DECIDES.search(one) and not any(name in one for name in but) and not counts(one)
    ]


def counts(condition: str) -> bool:
    """Whether a condition only compares how many there are, or where in a list something stands."""
    return bool(re.fullmatch(r"\S*(?:\|length|\.number|num_pages|count|total) (?:>|==) \S*(?:\|length|\d)", condition))


PATHS = sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html"))


def test_templates_are_indented_as_the_formatter_does() -> None:
    """`djhtml -t 2 templates tests/data/third_right` mends it."""
    command = [str(Path(sys.executable).with_name("djhtml")), "-c", "-t", "2", "templates", "tests/data/third_right"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_line_of_a_template_has_one_tag_or_one_sentence() -> None:
    found = {name: said for name in PATHS if (said := faults((TEMPLATES / name).read_text()))}
    assert len(PATHS) > 150 and found == {}


def test_no_template_compares_or_combines_states() -> None:
    found = {
        name: said for name in PATHS if (said := decides((TEMPLATES / name).read_text(), but=MAY_COMPARE.get(name, ())))
    }
    assert found == {}


_PARAGRAPH = re.compile(r"<(p|li)\b[^>]*>(.*?)</\1>", re.DOTALL)


def untranslated(text: str) -> list[str]:
    """Return the paragraphs of a letter that go past Django's translations though no condition divides them."""
    bare = [re.sub(r"\{\{.*?\}\}|<[^>]+>", "", one) for _tag, one in _PARAGRAPH.findall(text) if "{%" not in one]
    return [" ".join(one.split()) for one in bare if len(re.findall(r"[A-Za-z]{2,}", one)) > 1]


def test_a_paragraph_of_a_letter_goes_through_translations() -> None:
    found = {
        name: said
        for name in PATHS
        if name.startswith("privacy/email/") and (said := untranslated((TEMPLATES / name).read_text()))
    }
    assert found == {}
    assert untranslated("<p>We did {{ it }}.</p><li>{{ one.title }}: {{ one.data }}</li>") == ["We did ."]
    assert untranslated("<p>{% blocktranslate trimmed %}We did it.{% endblocktranslate %}</p>") == []


#: Pages that were rewritten go through translations whole; whoever rewrites another one adds it.
WHOLE = ("accounts/edit.html", "accounts/overview.html", "admin/request.html")


def past_translations(text: str) -> list[str]:
    """Return the words of a page that go past Django's translations: in its text, and in labels read aloud."""
    text = re.sub(r"\{%\s*blocktranslate\b.*?\{%\s*endblocktranslate\s*%\}", "", text, flags=re.DOTALL)
    text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", text, flags=re.DOTALL)
    labels = re.findall(r"\b(?:aria-label|alt|title|placeholder)=\"([^\"]*)\"", text)
    return re.findall(
        r"[A-Za-z]+(?: [A-Za-z]+)*", " | ".join([*labels, re.sub(r"<[^>]*>", " | ", text, flags=re.DOTALL)])
    )


_INCLUDES = re.compile(r"\{%\s*include\s+\"([^\"]+)\"")


def included() -> set[str]:
    """Return the templates that are parts of others: by their name, or because one includes them by it."""
    named = {name for name in PATHS if name.rpartition("/")[2].startswith("_")}
    texts = [(TEMPLATES / name).read_text() for name in PATHS]
    return named | ({one for text in texts for one in _INCLUDES.findall(text)} & set(PATHS))


def test_rewritten_pages_and_what_others_include_go_through_translations_whole() -> None:
    parts = included()
    assert len(parts) > 50 and {"privacy/_copy.html", "account/snippets/warn_no_email.html"} <= parts
    names = sorted(parts | set(WHOLE))
    assert {name: said for name in names if (said := past_translations((TEMPLATES / name).read_text()))} == {}
    assert past_translations('<td aria-label="Copies">{{ one }} times{% if a %}: made{% endif %}</td>') == [
        "Copies", "times", "made",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "<p>One.</p><p>Two.</p>",
        "{% if x %}<p>One.</p>{% endif %}",
        "One sentence. Another one.",
        "x" * 121,
        "<li><p>One.</p></li>",
    ],
)
def test_a_line_with_more_is_found(line: str) -> None:
    assert len(faults(line)) >= 1
    assert faults("<li><a href=\"{% url 'a' %}\">One of (Art. 12) them</a>, R.I. Gen. Laws.</li>") == []


@pytest.mark.parametrize(
    "condition", ['a == "b"', "a and b", "a or b", "a != b", 'a in "bc"', "not a and b", "a is None"]
)
def test_a_condition_that_decides_is_found(condition: str) -> None:
    assert decides(f"{{% if {condition} %}}x{{% endif %}}") and decides(
        f"{{% if a %}}{{% elif {condition} %}}{{% endif %}}"
    )
    for simple in ("a", "not a", "page.number > 1", "one.total > one.lines|length", "lines|length == 1"):
        assert decides(f"{{% if {simple} %}}x{{% endif %}}") == []
