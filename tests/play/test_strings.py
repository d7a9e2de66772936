"""The page's sentences, the same in every language, and none too many; and what its files may not hold."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

PAGE = Path(str(files("nnkit.play") / "page"))
SCRIPTS = "\n".join(path.read_text(encoding="utf-8") for path in sorted(PAGE.rglob("*.js")))
MARKUP = (PAGE / "index.html").read_text(encoding="utf-8")
LANGUAGES = ("en", "ko")


def sentences(language):
    """Every sentence of a language by its key, such as "draw.clear"."""
    sections = json.loads((PAGE / "strings" / f"{language}.json").read_text(encoding="utf-8"))
    return {
        f"{section}.{key}": value
        for section, keys in sections.items()
        for key, value in keys.items()
    }


ENGLISH = sentences("en")
SECTIONS = {key.partition(".")[0] for key in ENGLISH}

WRITTEN = {
    key
    for key in re.findall(r'"([a-z]+\.[\w.-]+)"', SCRIPTS + MARKUP)
    if key.partition(".")[0] in SECTIONS
}
"""Keys that stand in the page as they are."""

COMPOSED = {
    key
    for key in re.findall(r"`([a-z]+\.[^`\s]*\$\{[^`\s]*)`", SCRIPTS)
    if key.partition(".")[0] in SECTIONS
}
"""Keys that the page puts together: `draw.${name}_empty`."""


def pattern(composed):
    """What a composed key may become: with a word for each of its values."""
    return re.compile(r"[\w-]+".join(map(re.escape, re.split(r"\$\{[^}]*\}", composed))))


def test_every_language_has_the_same_keys():
    for language in LANGUAGES:
        assert sentences(language).keys() == ENGLISH.keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_empty_and_all_take_the_same_values(language):
    for key, sentence in sentences(language).items():
        assert sentence.strip(), key
        assert set(re.findall(r"\{(\w+)\}", sentence)) == set(
            re.findall(r"\{(\w+)\}", ENGLISH[key])
        ), key


def test_every_key_that_the_page_has_is_there():
    assert WRITTEN
    assert WRITTEN <= ENGLISH.keys()
    for composed in COMPOSED:
        assert any(pattern(composed).fullmatch(key) for key in ENGLISH), composed


def test_every_sentence_is_used_by_the_page():
    patterns = [pattern(composed) for composed in COMPOSED]
    unused = [
        key
        for key in ENGLISH
        if key not in WRITTEN and not any(each.fullmatch(key) for each in patterns)
    ]
    assert unused == []


@pytest.mark.parametrize(
    "path",
    sorted(path for path in PAGE.rglob("*") if path.suffix in {".js", ".css", ".html", ".json"}),
    ids=lambda path: path.name,
)
def test_no_file_names_another_host_or_holds_what_the_policy_forbids(path):
    said = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|wss?://\w|[\"'(]//\w", said)
    if path.suffix == ".html":
        assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*\ssrc=)|javascript:", said)
    else:
        assert not re.search(r"setAttribute\(\"(style|on\w+)\"|innerHTML|\beval\(", said)
