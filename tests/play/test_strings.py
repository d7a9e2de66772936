"""The page's sentences, alike in each language, none too many; and what its files may not hold."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

PAGE = Path(str(files("nnkit.play") / "page"))
WRITTEN_IN = {".js", ".css", ".html", ".json"}
PATHS = sorted(path for path in PAGE.rglob("*") if path.suffix in WRITTEN_IN)
SOURCES = "\n".join(
    path.read_text(encoding="utf-8") for path in PATHS if path.suffix in {".js", ".html"}
)
SERVER = "\n".join(path.read_text(encoding="utf-8") for path in sorted(PAGE.parent.rglob("*.py")))
LANGUAGES = ("en", "ko")


def flat(strings, above=""):
    """Every sentence by its key, such as "draw.clear"."""
    if isinstance(strings, str):
        return {above: strings}
    found = {}
    for name, below in strings.items():
        found |= flat(below, f"{above}.{name}" if above else name)
    return found


def sentences(language):
    path = PAGE / "strings" / f"{language}.json"
    return flat(json.loads(path.read_text(encoding="utf-8")))


ENGLISH = sentences("en")
SECTIONS = "|".join(sorted({key.partition(".")[0] for key in ENGLISH}))

WRITTEN = set(re.findall(rf'"((?:{SECTIONS})\.[\w.-]+)"', SOURCES))
"""Keys that stand in the page as they are."""

COMPOSED = set(re.findall(rf"`((?:{SECTIONS})\.[^`\s]*\$\{{[^`\s]*)`", SOURCES))
"""Keys that the page puts together: `draw.${name}_empty`."""


def pattern(composed):
    """What a composed key may become: with a word for each of its values."""
    return re.compile(r"[\w-]+".join(map(re.escape, re.split(r"\$\{[^}]*\}", composed))))


def is_used(key):
    """Whether it is written, or composed; from one word alone, only where that word is written."""
    if key in WRITTEN:
        return True
    section, _, word = key.partition(".")
    for composed in COMPOSED:
        if pattern(composed).fullmatch(key):
            alone = re.fullmatch(rf"{section}\.\$\{{[^}}]*\}}", composed)
            if not alone or re.search(rf"\b{re.escape(word)}\b", SOURCES + SERVER):
                return True
    return False


def values_of(sentence):
    return set(re.findall(r"\{(\w+)\}", sentence))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_keys_and_values_and_nothing_empty(language):
    own = sentences(language)
    assert own.keys() == ENGLISH.keys()
    for key, sentence in own.items():
        assert sentence.strip(), key
        assert values_of(sentence) == values_of(ENGLISH[key]), key


def test_every_key_that_the_page_has_is_there():
    assert WRITTEN and COMPOSED
    assert sorted(WRITTEN - ENGLISH.keys()) == []
    for composed in COMPOSED:
        assert any(pattern(composed).fullmatch(key) for key in ENGLISH), composed


def test_every_sentence_is_used_by_the_page():
    assert [key for key in ENGLISH if not is_used(key)] == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(PAGE)))
def test_no_file_names_another_host_or_holds_what_the_policy_forbids(path):
    said = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|wss?://\w|[\"'(]//\w", said)
    if path.suffix == ".html":
        assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*\ssrc=)|javascript:", said)
    else:
        assert not re.search(r"setAttribute\(\"(style|on\w+)\"|innerHTML|\beval\(", said)
