"""The chapters in the browser: read one, try it, look at the answer, go on."""

from __future__ import annotations

import json

import pytest

from nnkit.play.files import page as files
from nnkit.play.server import Server
from tests.play.rooms import Silent

CHAPTERS = json.loads(files()["chapters.json"][0])
TEXTS = {name: json.loads(files()[f"strings/{name}.json"][0])["chapters"] for name in ("en", "ko")}


@pytest.fixture(scope="module")
def address():
    with Server({"draw": Silent, "playground": Silent}, port=0) as server:
        yield server.address


@pytest.mark.parametrize("language", TEXTS)
def test_every_chapter_opens_and_leads_to_the_next(address, open_page, language):
    page = open_page(f"{address}#/chapters/{CHAPTERS[0]['id']}", locale=language)
    for chapter in CHAPTERS:
        title = TEXTS[language][chapter["id"]]["title"]
        page.locator("#view h1", has_text=title).first.wait_for()
        assert page.title() == f"{title} · nnkit"
        for shown in (chapter["example"], chapter["file"]):
            assert shown in page.locator("#view").inner_text()
        if chapter is not CHAPTERS[-1]:
            page.locator(".turn a").last.click()
    assert page.locator(".turn a").count() == 1


def test_settings_are_chosen(address, open_page):
    page = open_page(address + "#/chapters/xor")
    buttons = page.get_by_role("group", name="Settings of the experiment").get_by_role("button")
    buttons.first.wait_for()
    assert buttons.all_inner_texts() == ["No hidden layer", "2-4-1"]
    whole = page.get_by_role("link", name="Open in Playground")
    assert "hidden=&" in whole.get_attribute("href")
    page.locator(".stage > *").first.wait_for()
    buttons.nth(1).press("Enter")
    assert [b.get_attribute("aria-pressed") for b in buttons.all()] == ["false", "true"]
    assert "hidden=4&" in whole.get_attribute("href")


def test_who_has_looked_is_done(address, open_page):
    page = open_page(address + "#/chapters/xor")
    answer = page.get_by_text("the loss stays at 0.693")
    assert not answer.is_visible()
    page.locator("summary", has_text="What you should see").press("Enter")
    answer.wait_for()
    page.get_by_role("checkbox", name="Done", checked=True).wait_for()
    page.reload()
    page.get_by_role("checkbox", name="Done", checked=True).wait_for()
    page.get_by_role("link", name="All chapters").click()
    page.get_by_text("1 of 34 done").wait_for()
    assert page.locator("li", has=page.get_by_role("img", name="Done")).count() == 1
    page.get_by_role("link", name="nnkit").click()
    page.get_by_role("link", name="Go on: Perceptron: the gates").click()
    page.get_by_text("Chapter 1 of 34").wait_for()
    page.evaluate("location.hash = '#/chapters/xor'")
    page.get_by_role("checkbox", name="Done").uncheck()
    page.get_by_role("link", name="All chapters").click()
    page.get_by_text("0 of 34 done").wait_for()


def test_what_is_kept_may_be_damaged(address, open_page):
    page = open_page(address)
    page.locator("h1").wait_for()
    page.evaluate("localStorage.setItem('nnkit.chapters', '{broken')")
    page.reload()
    page.get_by_text("0 of 34 done").wait_for()
