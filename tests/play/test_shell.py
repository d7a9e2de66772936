"""What is around the views: the way to them, language, colours, addresses."""

from __future__ import annotations

import re

import pytest

from nnkit.play.server import Server
from tests.play.rooms import Silent


@pytest.fixture(scope="module")
def address():
    with Server({"draw": Silent, "playground": Silent}, port=0) as server:
        yield server.address


def focused(page):
    return page.evaluate("document.activeElement.textContent")


def test_home_shows_what_there_is(address, open_page):
    page = open_page(address)
    page.locator(".card").first.wait_for()
    assert page.locator(".card h2").all_inner_texts() == ["Draw", "Playground", "Chapters"]
    assert page.locator("nav a").all_inner_texts() == ["Draw", "Playground", "Chapters"]
    assert page.title() == "See it learn · nnkit"
    page.locator(".card", has_text="Chapters").click()
    page.get_by_role("heading", name="Chapters", level=1).wait_for()
    assert page.title() == "Chapters · nnkit"
    assert page.locator("nav [aria-current=page]").inner_text() == "Chapters"


def test_only_what_the_server_has(open_page):
    with Server({"watch": Silent}, port=0) as server:
        page = open_page(server.address + "#/draw")
        page.locator(".notice").wait_for()
        assert "draw" in page.locator(".notice").inner_text()
        assert page.locator("nav a").all_inner_texts() == ["Watch", "Chapters"]
        page.goto(server.address + "#/chapters/xor")
        page.get_by_text("nnkit play", exact=False).first.wait_for()


def test_an_unknown_address_is_told(address, open_page):
    page = open_page(address + "#/nowhere?x=1")
    page.get_by_text('There is no page "nowhere" here.').wait_for()
    page.get_by_role("link", name="nnkit").click()
    page.locator(".notice").wait_for(state="detached")
    page.evaluate("location.hash = '#/watch'")
    page.get_by_text("No run is watched here.").wait_for()
    page.evaluate("location.hash = '#/chapters/nothing'")
    page.get_by_text('There is no chapter "nothing".').wait_for()


def test_another_view_begins_with_its_heading(address, open_page):
    page = open_page(address)
    page.locator("h1").first.wait_for()
    assert page.evaluate("document.activeElement === document.body")
    page.locator("nav a", has_text="Chapters").press("Enter")
    page.locator("h1:focus").wait_for()
    assert focused(page) == "Chapters"
    page.go_back()
    page.locator("h1:focus", has_text="See it learn").wait_for()


def test_skipping_to_the_content_keeps_the_view(address, open_page):
    page = open_page(address + "#/chapters")
    page.locator("h1").first.wait_for()
    page.keyboard.press("Tab")
    assert focused(page) == "To the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "view"
    assert page.url.endswith("#/chapters")


def test_language_stays(address, open_page):
    page = open_page(address + "#/chapters/xor")
    page.get_by_label("Language").select_option("ko")
    page.get_by_role("heading", name=re.compile("퍼셉트론의 한계")).wait_for()
    page.locator("#language:focus").wait_for()
    assert page.evaluate("document.documentElement.lang") == "ko"
    page.reload()
    page.get_by_role("heading", name=re.compile("퍼셉트론의 한계")).wait_for()
    assert page.title() == "퍼셉트론의 한계: XOR, 그리고 층 · nnkit"


def test_the_browsers_language_comes_first(address, open_page):
    page = open_page(address, locale="ko-KR")
    page.get_by_role("heading", name="배우는 모습 보기").wait_for()
    page = open_page(address, locale="fr")
    page.get_by_role("heading", name="See it learn").wait_for()


def test_colours_stay(address, open_page):
    page = open_page(address, color_scheme="light")
    page.locator("h1").first.wait_for()
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(paper)

    def is_now(color):
        page.wait_for_function(f"color => {paper} === color", arg=color)

    page.get_by_label("Colours").select_option("dark")
    dark = page.evaluate(paper)
    assert dark != light
    page.reload()
    page.locator("h1").first.wait_for()
    is_now(dark)
    page.get_by_label("Colours").select_option("auto")
    is_now(light)
    page.emulate_media(color_scheme="dark")
    is_now(dark)


def test_what_is_printed(address, open_page):
    page = open_page(address + "#/chapters/xor", color_scheme="dark")
    page.locator("h1").first.wait_for()
    page.emulate_media(media="print")
    assert not page.locator("nav").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.locator("h1").first.is_visible()


def test_a_view_that_cannot_be_loaded_is_told(address, open_page):
    page = open_page(address, expect_errors=True)
    page.locator("h1").first.wait_for()
    page.route("**/views/chapters.js", lambda route: route.abort())
    page.locator("nav a", has_text="Chapters").click()
    assert "could not be loaded" in page.locator("#view").get_by_role("alert").inner_text()
