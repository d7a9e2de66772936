"""Every view, by the rules of WCAG 2.2 AA that a program can check; and the colours."""

from __future__ import annotations

import re

import pytest

from nnkit.play.files import page as files
from nnkit.play.server import Server
from tests.play.accessible import contrast, overflow, violations
from tests.play.rooms import Silent

PLACES = ["", "#/chapters", "#/chapters/xor", "#/chapters/filters", "#/draw", "#/playground"]
NARROW, WIDE = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
PAGES = [  # any two of the three come together
    ("light", "en", WIDE),
    ("light", "ko", NARROW),
    ("dark", "en", NARROW),
    ("dark", "ko", WIDE),
]


@pytest.fixture(scope="module")
def address():
    with Server({"draw": Silent, "playground": Silent}, port=0) as server:
        yield server.address


@pytest.mark.parametrize(("colors", "language", "size"), PAGES)
def test_every_view(address, open_page, colors, language, size):
    page = open_page(address, color_scheme=colors, locale=language, viewport=size)
    page.locator("h1").wait_for()
    found = []
    for place in PLACES:
        page.evaluate("place => { location.hash = place; }", place)
        page.locator(f"#view.view-{place[2:].partition('/')[0] or 'home'} h1").first.wait_for()
        assert overflow(page) <= 0, place
        found += violations(page)
    assert not found, "\n".join(found)


def test_an_answer_and_a_notice(address, open_page):
    page = open_page(address + "#/nowhere")
    page.get_by_role("status").filter(has_text="nowhere").wait_for()
    assert not violations(page)
    page.goto(address + "#/chapters/xor")
    page.locator("summary").click()
    assert not violations(page)


# ------------------------------------------------------------------ colours

STYLE = files()["style.css"][0].decode()
LIGHT = dict(re.findall(r"--([\w-]+): (#\w{6});", STYLE.partition("}")[0]))
THEMES = {
    "light": LIGHT,
    "dark": LIGHT | dict(re.findall(r"--([\w-]+): (#\w{6});", STYLE.split("}")[1])),
}
GROUNDS = ["paper", "panel"]
TEXTS = ["text", "quiet", "accent", "wrong", "right"]
SHAPES = ["control", "positive", "negative"]


@pytest.mark.parametrize("theme", THEMES)
def test_contrast(theme):
    """4.5 for text, 3 for borders of controls and what a picture is made of: WCAG 1.4.3, 1.4.11."""
    of = THEMES[theme]
    for ground in GROUNDS:
        for name in TEXTS:
            assert contrast(of[name], of[ground]) >= 4.5, (name, ground)
        for name in SHAPES:
            assert contrast(of[name], of[ground]) >= 3, (name, ground)
    assert contrast(of["on-accent"], of["accent"]) >= 4.5
    assert contrast(of["ink"], of["ground"]) >= 4.5
    for name in ("positive", "negative"):
        assert contrast(of[name], of["zero"]) >= 3


def test_dark_is_another_palette():
    assert THEMES["dark"]["paper"] != THEMES["light"]["paper"]
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
